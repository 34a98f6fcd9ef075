"""The report's question: what is counted of whom, as of when, in which cell; against a slow reading of the contract."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.entry import ERROR, EXPOSURE, Entry
from balancer.domain.event import EventSource
from balancer.stats.cells import Measure, Part, SplitCells, SplitQuestion, What
from balancer.stats.comoments import CoMoments
from balancer.stats.moments import Moments
from balancer.stats.raw import RawQuestion
from balancer.store.ledger import DuckLedger
from cells_by_hand import Arrived, cells_by_hand
from edge_lines import ASSIGNED_AT
from entries import ALWAYS, Clock, asked, counted, entry, everything, exposed, exposure, load

HOUR = 3_600_000
DAY = 24 * HOUR
LATER = ASSIGNED_AT + 400 * DAY


def measure(
    event: str, what: What = What.HAPPENED, *, name: str = "m", until: int = 72 * HOUR, **more: object
) -> Measure:
    return replace(Measure(name=name, y=Part(event=event, what=what), until=until), **more)  # type: ignore[arg-type]


def question(*measures: Measure, as_of: int = LATER, **more: object) -> SplitQuestion:
    asked = SplitQuestion(
        app="shop", split="s1", phases=(1, 2), variants=("master", "test"), measures=measures, as_of=as_of
    )
    return replace(asked, **more)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb", clock)
    yield engine
    engine.close()


def test_each_exposed_visitor_gives_one_number_zeros_included(ledger: DuckLedger) -> None:
    load(ledger, *(exposure(number) for number in range(4)))
    load(ledger, entry(0, "purchase", 3.0), entry(0, "purchase", 5.0), entry(1, "purchase", 2.0), entry(2, "purchase"))
    (found,) = ledger.cells(question(measure("purchase", What.VALUES))).measures
    (cell,) = found.cells
    assert (cell.phase, cell.variant, cell.mature, cell.events, cell.conversions) == (1, "test", True, 4, 2)
    assert (cell.moments.n, cell.moments.mean_y) == (4, 2.5)
    assert cell.moments.m2_y == pytest.approx(43.0)


def test_a_cell_in_which_nobody_did_it_is_there_with_its_zeros(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, "master"), exposure(2, "test"), entry(2, "signup"))
    (found,) = ledger.cells(asked("signup")).measures
    cells = {(cell.variant, cell.events, cell.conversions, cell.moments.n) for cell in found.cells}
    assert cells == {("master", 0, 0, 1), ("test", 1, 1, 1)}


def test_events_before_their_exposure_arrives_count_too(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "landing"))
    load(ledger, exposure(1))
    assert counted(ledger) == {"landing": 1}


@pytest.mark.parametrize("together", [True, False])
def test_visitors_seen_in_two_variants_are_left_out_and_counted(ledger: DuckLedger, together: bool) -> None:
    seen = [exposure(1, "test"), exposure(1, "master"), exposure(2, "test"), entry(1, "purchase", 1.0)]
    for batch in [seen] if together else [[each] for each in seen]:
        load(ledger, *batch)
    assert everything(ledger).multiple == 1
    assert exposed(ledger) == {(1, "test"): 1}
    assert counted(ledger) == {}


def test_exposures_of_other_phases_variants_splits_and_apps_are_left_out(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2, phase=7), exposure(3, variant="forged"), exposure(4, phase=99_999))
    load(ledger, entry(5, EXPOSURE, split="s2"), entry(6, EXPOSURE, app="blog"))
    load(ledger, entry(1, "a", app="blog"), *(entry(number, "a") for number in range(2, 7)))
    assert exposed(ledger) == {(1, "test"): 1}
    assert counted(ledger) == {}


def test_moments_keep_their_digits_where_the_mean_is_large(ledger: DuckLedger) -> None:
    values = [1e12 - offset for offset in range(50)]
    load(ledger, *(exposure(number) for number in range(50)))
    load(ledger, *(entry(number, "purchase", value) for number, value in enumerate(values)))
    (found,) = ledger.cells(asked("purchase", of=[What.VALUES])).measures
    (cell,) = found.cells
    # A sum of squares would have no digit right here.
    assert cell.moments.m2_y == pytest.approx(Moments.of(values).m2, rel=1e-3)


def test_a_million_values_of_mean_a_million_keep_their_spread_over_random_cells(ledger: DuckLedger) -> None:
    rng = np.random.default_rng(20260303)
    values = rng.normal(1e6, 1.0, 1_000_000)
    load(ledger, exposure(1), entry(1, "purchase", 0.0))
    with ledger._question() as connection:  # written at once: what is tried is how it is read
        many = {"value": values, "day": rng.integers(0, 20, len(values)), "arm": rng.integers(0, 4, len(values))}
        connection.execute(
            "CREATE TEMP TABLE people AS SELECT uuid() AS visitor, value, 1 + arm // 2 AS phase, "
            f"if(arm % 2 = 0, 'master', 'test') AS variant, {ASSIGNED_AT} + day * {DAY} AS assigned_at FROM many"
        )
        bought = "(SELECT id FROM words WHERE word = 'purchase')"
        connection.execute(
            "INSERT INTO events SELECT events.* REPLACE (people.visitor AS visitor, people.value AS value, "
            "people.phase AS phase, people.variant AS variant, people.assigned_at AS assigned_at, "
            f"people.assigned_at + 5 AS ts) FROM events, people WHERE name = {bought}"
        )
        connection.execute(
            "INSERT INTO exposures SELECT exposures.* REPLACE (people.visitor AS visitor, "
            "people.phase AS phase, people.variant AS variant, people.assigned_at AS assigned_at) "
            "FROM exposures, people"
        )
        connection.execute(f"DELETE FROM events WHERE name = {bought} AND value = 0")
        connection.execute("DELETE FROM exposures WHERE visitor NOT IN (SELECT visitor FROM people)")
        del many
    (found,) = ledger.cells(asked("purchase", of=[What.VALUES])).measures
    assert len(found.cells) == 80
    whole = sum((found.cells[place].moments for place in rng.permutation(80)), CoMoments.empty()).y
    of_events = ledger.raw(RawQuestion(app="shop")).cells
    by_release = ledger.releases("shop", "s1", [1, 2], ["master", "test"], []).events
    for moments in (
        whole,
        sum((cell.values for cell in of_events if cell.event == "purchase"), Moments.empty()),
        sum((cell.values for cell in by_release), Moments.empty()),
    ):
        assert moments.n == len(values)
        assert moments.mean == pytest.approx(float(np.mean(values)), rel=1e-9)
        assert moments.sd == pytest.approx(float(np.std(values - 1e6, ddof=1)), rel=1e-9)


def test_an_event_counts_whatever_split_its_row_carries_and_not_in_another_app(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "a", split="s2", variant="x"), entry(1, "a", split="s9"))
    load(ledger, entry(1, "a", app="blog"), entry(2, "a"))
    (found,) = ledger.cells(question(measure("a", What.EVENTS))).measures
    assert [cell.events for cell in found.cells] == [2]


def test_the_first_moment_of_a_window_counts_and_the_last_does_not(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), *(entry(1, "a", ts=ASSIGNED_AT + at) for at in (-1, 0, 9, 10, 19, 20)))
    of = [measure("a", What.EVENTS, name="b", until=20), measure("a", What.EVENTS, name="c", since=10, until=20)]
    assert [found.cells[0].events for found in ledger.cells(question(*of)).measures] == [4, 2]


def test_a_visitor_is_mature_when_the_window_is_over(ledger: DuckLedger) -> None:
    load(ledger, exposure(1))
    for late, mature in ((HOUR - 1, False), (HOUR, True)):
        (found,) = ledger.cells(question(measure("a", until=HOUR), as_of=ASSIGNED_AT + late)).measures
        assert [cell.mature for cell in found.cells] == [mature]


def test_a_look_into_the_past_sees_what_was_known_then(ledger: DuckLedger, clock: Clock) -> None:
    load(ledger, exposure(1), exposure(2), entry(1, "a"))
    then = ledger.cells(question(measure("a"), as_of=clock.now))
    clock.now += 10
    load(ledger, entry(1, "a"), exposure(1, "master"), exposure(3), exposure(2, phase=2, assigned_at=ASSIGNED_AT - 5))
    assert ledger.cells(question(measure("a"), as_of=clock.now - 1)) == then
    assert then.multiple == 0
    now = ledger.cells(question(measure("a"), as_of=clock.now))
    assert now.multiple == 1
    assert [(cell.phase, cell.visitors) for cell in now.exposed] == [(1, 1), (2, 1)]


def test_steps_of_a_funnel_count_in_their_order_or_at_one_moment(ledger: DuckLedger) -> None:
    load(ledger, *(exposure(number) for number in range(5)))
    at = ASSIGNED_AT
    load(ledger, entry(0, "a", ts=at + 1), entry(0, "b", ts=at + 2), entry(0, "c", ts=at + 3))
    load(ledger, entry(1, "b", ts=at + 1), entry(1, "a", ts=at + 2), entry(1, "c", ts=at + 3))
    load(ledger, entry(2, "c", ts=at + 9), entry(2, "b", ts=at + 8), entry(2, "a", ts=at + 7), entry(2, "b", ts=at + 1))
    load(ledger, entry(3, "a", ts=at + 1), entry(3, "b", ts=at + 1))
    (found,) = ledger.cells(question(measure("c", steps=("a", "b", "c")))).measures
    (cell,) = found.cells
    assert (cell.reached, cell.conversions, cell.events, cell.moments.n) == ((4, 3, 2), 2, 12, 5)


def test_only_the_wanted_sources_count(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "a"), entry(1, "a", source=EventSource.BEACON))
    of = [measure("a", What.EVENTS, sources=sources) for sources in ((), ("header",), ("api",))]
    assert [found.cells[0].events for found in ledger.cells(question(*of)).measures] == [2, 1, 0]


def test_failures_are_asked_for_by_the_platforms_own_name(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2), entry(1, ERROR))
    (found,) = ledger.cells(question(measure(ERROR))).measures
    assert [(cell.conversions, cell.moments.n) for cell in found.cells] == [(1, 2)]


def test_the_behaviour_before_the_assignment_is_the_covariate(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2), entry(1, "a", 100.0, ts=ASSIGNED_AT - 5), entry(1, "a", 2.0))
    (found,) = ledger.cells(question(measure("a", What.VALUES, cap=50.0, covariate=5))).measures
    (cell,) = found.cells
    assert (cell.moments.mean_x, cell.moments.mean_y, cell.events) == (25.0, 1.0, 1)
    assert cell.moments.c_xy == pytest.approx(50.0)


def test_a_quantile_is_of_the_values_and_interpolated(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2), exposure(3, "master"))
    load(ledger, entry(1, "a", 1.0), entry(1, "a", 2.0), entry(2, "a", 4.0), entry(2, "a"), entry(3, "b", 9.0))
    (found,) = ledger.cells(question(measure("a", What.VALUES, quantile=0.75))).measures
    assert [(each.variant, each.events, each.value) for each in found.quantiles] == [("test", 3, 3.0)]


def test_a_dimension_keeps_its_twenty_most_frequent_values(ledger: DuckLedger) -> None:
    def told(number: int, country: str | None) -> Entry:
        dims = json.dumps({"country": country} if country else {"device": "phone"})
        return msgspec.structs.replace(exposure(number), dims=dims)

    often = [f"c{number % 20:02}" for number in range(40)]
    places = [*often, "rare", "seldom", None]
    load(ledger, *(told(number, country) for number, country in enumerate(places)))
    found = ledger.cells(question(measure("a"), dimension="country"))
    assert {(cell.bucket, cell.visitors) for cell in found.exposed} == {
        (None, 1), ("other", 2), *((f"c{number:02}", 2) for number in range(20)),
    }  # fmt: skip
    assert sum(cell.moments.n for cell in found.measures[0].cells) == len(places)


def test_the_release_of_the_exposure_is_a_dimension(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), msgspec.structs.replace(exposure(2), release=14))
    load(ledger, msgspec.structs.replace(exposure(3), stood_in=True), exposure(2))
    found = ledger.cells(question(dimension="release"))
    assert [(cell.bucket, cell.visitors) for cell in found.exposed] == [(None, 1), ("14", 1), ("3", 1)]


def test_a_day_is_one_of_the_apps_time(ledger: DuckLedger) -> None:
    midnight = 19_700 * DAY
    load(ledger, *(exposure(number, assigned_at=midnight + number - 2) for number in range(4)))
    found = ledger.cells(question(offsets=((0, -HOUR), (midnight - 1, 1), (midnight + 1, -2))))
    assert [(cell.day, cell.visitors) for cell in found.exposed] == [(19_699, 2), (19_700, 2)]


def test_an_app_or_a_split_without_rows_has_no_cells(ledger: DuckLedger) -> None:
    load(ledger, exposure(1))
    assert ledger.cells(question(measure("a"), app="blog")).exposed == ()
    assert ledger.cells(question(measure("a"), split="s7")) == ledger.cells(question(measure("a"), app="blog"))
    assert [each.name for each in ledger.cells(question(measure("a"), app="blog")).measures] == ["m"]


def test_late_events_and_new_exposures_change_days_that_were_finished(ledger: DuckLedger, clock: Clock) -> None:
    clock.now = ASSIGNED_AT + 10 * DAY
    asked = question(measure("a", What.EVENTS), as_of=LATER)
    load(ledger, exposure(1), exposure(2), exposure(3, assigned_at=ASSIGNED_AT + 2 * DAY), entry(1, "a"))

    def events() -> list[tuple[int, int]]:
        return [(cell.events, cell.moments.n) for cell in ledger.cells(asked).measures[0].cells]

    assert events() == events() == [(1, 2), (0, 1)]
    for change, found in (
        (entry(2, "a"), [(2, 2), (0, 1)]),
        (entry(3, "a", ts=ASSIGNED_AT + 2 * DAY), [(2, 2), (1, 1)]),
        (exposure(1, "master"), [(1, 1), (1, 1)]),
        (exposure(3), [(2, 2)]),
    ):
        clock.now += 1
        load(ledger, change)
        assert events() == found


def test_finished_days_are_not_counted_again(ledger: DuckLedger, clock: Clock, tmp_path: Path) -> None:
    load(ledger, exposure(1), entry(1, "a"))
    before = ledger.cells(question(measure("a")))
    with ledger._question() as connection:  # what only a look at the rows would show
        connection.execute("UPDATE events SET name = 0 WHERE value IS NULL AND source <> 0")
    assert ledger.cells(question(measure("a"), as_of=LATER + 1)).measures == before.measures
    assert ledger.cells(question(measure("a", name="other"))).measures != before.measures


def test_nothing_is_kept_where_rows_were_taken_out(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "a"))
    ledger.cells(question(measure("a")))
    with ledger._question() as connection:
        connection.execute("DELETE FROM events WHERE name <> (SELECT id FROM words WHERE word = '$exposure')")
    (found,) = ledger.cells(question(measure("a"))).measures
    assert [cell.events for cell in found.cells] == [0]


NAMES = ("a", "b", "c")
# 26 March 2023 01:00 UTC: an hour is skipped in Berlin.
SPRING = 1_679_792_400_000
BERLIN = ((0, HOUR), (SPRING, 2 * HOUR))


@st.composite
def rows(draw: st.DrawFn) -> Entry:
    """Give a row of one of a few visitors, who meet again in other variants, phases and times."""
    name = draw(st.sampled_from([EXPOSURE, *NAMES]))
    made = entry(
        draw(st.integers(0, 5)),
        name,
        draw(st.none() | st.integers(-3, 30).map(float)) if name != EXPOSURE else None,
        split=draw(st.sampled_from(["s1", "s1", "s1", "s2"])),
        variant=draw(st.sampled_from(["test", "test", "test", "master", "forged"])),
        phase=draw(st.integers(1, 3)),
        assigned_at=SPRING + draw(st.integers(-3, 3)) * HOUR,
        ts=SPRING + draw(st.integers(-8, 12)) * HOUR // 2,
        source=draw(st.sampled_from([EventSource.HEADER, EventSource.BEACON])),
        event_id=draw(st.none() | st.integers(0, 30).map(str)) if name != EXPOSURE else None,
    )
    dims = draw(st.none() | st.sampled_from(['{"device":"phone"}', '{"device":"desk","x/y":"~"}', '{"x/y":"other"}']))
    return msgspec.structs.replace(
        made, dims=dims, release=draw(st.none() | st.integers(3, 5)), stood_in=draw(st.booleans())
    )


PARTS = st.builds(Part, event=st.sampled_from([*NAMES, "never"]), what=st.sampled_from(What))


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    since = draw(st.integers(0, 3)) * HOUR
    made = Measure(
        name=draw(st.text("xyz", max_size=2)),
        y=draw(PARTS),
        since=since,
        until=since + draw(st.integers(1, 8)) * HOUR // 2,
        sources=draw(st.sampled_from([(), ("header",), ("beacon", "api")])),
    )
    match draw(st.integers(0, 5)):
        case 0:
            return replace(made, x=draw(PARTS))
        case 1:
            return replace(made, covariate=draw(st.integers(1, 4)) * HOUR, cap=draw(st.none() | st.just(5.0)))
        case 2:
            steps = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
            return replace(made, y=Part(event=steps[-1], what=What.HAPPENED), steps=tuple(steps))
        case 3:
            return replace(made, quantile=draw(st.sampled_from([0.01, 0.5, 0.9])))
        case _:
            return replace(made, cap=draw(st.none() | st.just(4.5)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(rows(), min_size=1, max_size=25), max_size=4),
    st.lists(measures(), max_size=4),
    st.integers(0, 5),
    st.sampled_from([((0, 0),), BERLIN]),
    st.sampled_from([None, "device", "x/y", "release"]),
)
def test_cells_are_those_of_the_contract_read_slowly(
    batches: list[list[Entry]],
    asked: list[Measure],
    as_of: int,
    offsets: tuple[tuple[int, int], ...],
    dimension: str | None,
) -> None:
    clock = Clock()
    ledger = DuckLedger(Path(":memory:"), clock)
    arrived: list[Arrived] = []
    try:
        for number, batch in enumerate(batches):
            clock.now = SPRING + number * 2 * HOUR
            load(ledger, *batch)
            arrived += [Arrived(clock.now, row) for row in batch]
            # Of each look something is kept for the next.
            look = question(*asked, as_of=clock.now + 20 * HOUR * (number % 2), offsets=offsets, dimension=dimension)
            assert_equal(ledger.cells(look), cells_by_hand(arrived, look))
        of = question(
            *asked, as_of=SPRING + as_of * 2 * HOUR - HOUR, offsets=offsets, dimension=dimension
        )  # fmt: skip
        assert_equal(ledger.cells(of), cells_by_hand(arrived, of))
    finally:
        ledger.close()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(rows(), max_size=40),
    st.lists(measures(), max_size=4),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_a_replay_in_any_order_and_any_batches_gives_the_same_cells(
    given_rows: list[Entry], measures: list[Measure], size: int, chance: random.Random
) -> None:
    marked = [
        each if each.name == EXPOSURE else msgspec.structs.replace(each, id=f"id-{place}")
        for place, each in enumerate(given_rows)
    ]
    once, again = DuckLedger(Path(":memory:")), DuckLedger(Path(":memory:"))
    look = question(*measures, as_of=ALWAYS)
    try:
        load(once, *marked)
        replay = marked * 2
        chance.shuffle(replay)
        for start in range(0, len(replay), size):
            load(again, *replay[start : start + size])
        assert_equal(again.cells(look), once.cells(look))
        assert_equal(once.cells(look), cells_by_hand([Arrived(0, row) for row in marked], look))
    finally:
        once.close()
        again.close()


def assert_equal(found: SplitCells, wanted: SplitCells) -> None:
    """Compare exactly, but numbers with a fraction to a billionth."""

    def compare(a: object, b: object) -> None:
        if isinstance(a, float) and isinstance(b, float):
            assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9), (a, b, found, wanted)
        elif isinstance(a, dict) and isinstance(b, dict):
            assert a.keys() == b.keys()
            for key in a:
                compare(a[key], b[key])
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            assert len(a) == len(b), (found, wanted)
            for one, other in zip(a, b, strict=True):
                compare(one, other)
        else:
            assert a == b, (found, wanted)

    compare(msgspec.to_builtins(found), msgspec.to_builtins(wanted))
