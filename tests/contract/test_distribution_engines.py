"""How a number is distributed is the same from every engine, and counted visitor by visitor."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from balancer.domain.entry import Batch, Entry
from balancer.stats.cells import What
from balancer.stats.distribution import Bin, Distribution, distribution, leading
from contract.ledger_engines import Site
from edge_lines import ASSIGNED_AT
from entries import Clock, entry, exposure
from store.test_ledger_cells import HOUR, measure, question

FILE = "000001.log"
VALUES = st.one_of(
    st.sampled_from([0.1, 0.2, 0.3, 1.0, 9.999, 10.0, 1000.0, 999.9999999999, 0.0, -5.0, 1e9, 1e-6]),
    st.floats(-1e6, 1e6).map(lambda value: round(value, 2)),
)
apps = count(1)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 5), VALUES), max_size=20),
    st.sampled_from([What.VALUES, What.EVENTS, What.VALUED, What.HAPPENED]),
    st.none() | st.sampled_from([5.0, 250.5]),
)
@example([(0, 0.1), (0, 0.2), (1, 0.3), (2, 1000.0), (3, 999.9999999999), (4, -5.0), (4, 5.0)], What.VALUES, None)
def test_a_distribution_is_that_of_the_visitors_counted_by_hand(
    site: Site, did: list[tuple[int, float]], what: What, cap: float | None
) -> None:
    app = f"app-{next(apps)}"
    rows = [exposure(number, "test" if number % 2 else "master") for number in range(6)]
    rows += [entry(number, "purchase", value, ts=ASSIGNED_AT + place) for place, (number, value) in enumerate(did)]
    engine = site.anew()
    engine.load(Batch([msgspec.structs.replace(row, app=app) for row in rows]), FILE, next(apps))
    of = replace(question(replace(measure("purchase", what), cap=cap)), app=app)
    assert engine.distribution(of) == _by_hand(did, what, cap)


def _by_hand(did: list[tuple[int, float]], what: What, cap: float | None) -> Distribution:
    found = []
    for number in range(6):
        values = [value for who, value in did if who == number]
        y = {What.HAPPENED: float(bool(values)), What.VALUES: sum(values)}.get(what, float(len(values)))
        if cap is not None:
            y = min(max(y, -cap), cap)
        if y:
            found.append((leading("test" if number % 2 else "master", y), 1))
    return distribution(("master", "test"), {"master": 3, "test": 3}, found)


def test_only_what_counts_is_in_it(site: Site) -> None:
    engine = site.open()
    rows: list[Entry] = [exposure(1), exposure(2, phase=7), exposure(3, "master"), exposure(3, "test")]
    rows += [entry(number, "purchase", 25.0) for number in (1, 2, 3)]
    rows += [
        entry(1, "purchase", 300.0, ts=ASSIGNED_AT - 1),
        entry(1, "purchase", 300.0, ts=ASSIGNED_AT + 72 * HOUR),
        entry(1, "refund", 300.0),
    ]
    engine.load(Batch(rows), FILE, 1)
    found = engine.distribution(question(measure("purchase", What.VALUES)))
    assert [(each.variant, each.visitors, each.nothing, each.bins) for each in found.variants] == [
        ("master", 0, 0, ()),
        ("test", 1, 0, (Bin(low=20.0, high=30.0, visitors=1),)),
    ]


def test_what_arrived_later_is_not_in_it(site: Site, clock: Clock) -> None:
    engine = site.open()
    engine.load(Batch([exposure(1), entry(1, "purchase", 25.0)]), FILE, 1)
    seen_at = clock.now
    clock.now += 10 * HOUR
    engine.load(Batch([entry(1, "purchase", 300.0, ts=ASSIGNED_AT + 2000)]), FILE, 2)
    (_, test) = engine.distribution(question(measure("purchase", What.VALUES), as_of=seen_at + HOUR)).variants
    assert test.bins == (Bin(low=20.0, high=30.0, visitors=1),)


def test_an_app_without_rows_has_the_distribution_of_nobody(site: Site) -> None:
    found = site.open().distribution(question(measure("purchase", What.VALUES)))
    assert [(each.variant, each.visitors, each.bins) for each in found.variants] == [("master", 0, ()), ("test", 0, ())]
