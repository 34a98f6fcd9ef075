"""The cells of a split are the same from every engine, and those of the contract read slowly (`cells_by_hand`)."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from balancer.domain.entry import Batch, Entry
from balancer.stats.cells import Measure, Part, What
from cells_by_hand import Arrived, cells_by_hand
from contract.ledger_engines import Site, alike
from entries import Clock, entry, exposure
from store.test_ledger_cells import BERLIN, HOUR, SPRING, measures, question, rows

FILE = "000001.log"
# A visitor of which a dimension has quotes, and a funnel of which nobody does anything.
QUOTED = msgspec.structs.replace(exposure(1), dims='{"device":"a \\"device\\":\\"b\\" \\\\ \\u0001","x/y":""}')
FUNNEL = Measure(name="f", y=Part(event="c", what=What.HAPPENED), steps=("a", "b", "c"), until=5 * HOUR, covariate=HOUR)
# Two visitors who did a and b: one at the same moment, one a moment later; and one who did a twice.
IN_ORDER = [
    *(exposure(number, assigned_at=SPRING) for number in (1, 2, 3)),
    *(entry(number, "a", ts=SPRING + 1) for number in (1, 2, 3)),
    entry(1, "b", ts=SPRING + 1),
    entry(2, "b", ts=SPRING + 2),
    entry(3, "a", ts=SPRING + 2),
]
STEPS = [replace(FUNNEL, steps=steps) for steps in (("a", "b"), ("a", "a"), ("b", "a"))]
apps = count(1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(rows(), min_size=1, max_size=25), max_size=4),
    st.lists(measures(), max_size=4),
    st.integers(0, 5),
    st.sampled_from([((0, 0),), BERLIN]),
    st.sampled_from([None, "device", "x/y", "release"]),
)
@example([[QUOTED, exposure(2)]], [FUNNEL], 10**6, ((0, -HOUR),), "device")
@example([[QUOTED, exposure(2)]], [FUNNEL], 10**6, ((0, -HOUR),), "x/y")
@example([IN_ORDER], STEPS, 10**6, ((0, 0),), None)
def test_cells_are_those_of_the_contract_read_slowly(
    site: Site,
    clock: Clock,
    batches: list[list[Entry]],
    asked: list[Measure],
    as_of: int,
    offsets: tuple[tuple[int, int], ...],
    dimension: str | None,
) -> None:
    app = f"app-{next(apps)}"  # each example is another app of one ledger,
    engine = site.anew()  # which does not remember when the batches of the one before arrived
    arrived: list[Arrived] = []
    for number, batch in enumerate(batches):
        clock.now = SPRING + number * 2 * HOUR
        of_app = [msgspec.structs.replace(row, app=app) for row in batch]
        engine.load(Batch(of_app), FILE, next(apps))
        arrived += [Arrived(clock.now, row) for row in of_app]
    when = SPRING + as_of * 2 * HOUR - HOUR
    of = replace(question(*asked, as_of=when, offsets=offsets, dimension=dimension), app=app)
    found, wanted = engine.cells(of), cells_by_hand(arrived, of)
    assert alike(found, wanted), (found, wanted)
