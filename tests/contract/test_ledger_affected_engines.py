"""Whom errors befell is the same from every engine, and what the contract says, read slowly."""

from __future__ import annotations

from itertools import count

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from balancer.domain.entry import ERROR, EXPOSURE, SLOW, Batch, Entry
from balancer.stats.affected import Affected, AffectedCell, AffectedQuestion
from contract.ledger_engines import Site
from edge_lines import ASSIGNED_AT
from entries import entry, exposure

FILE = "000001.log"
UNTIL = 10_000
apps = count(1)


def question(app: str = "shop") -> AffectedQuestion:
    return AffectedQuestion(
        app=app, split="s1", phases=(1, 2), variants=("master", "test"), events=(ERROR, SLOW), until=UNTIL
    )


def error(number: int, variant: str = "test", phase: int = 1, after: int = 1) -> Entry:
    """Return an error of a visitor, so long after the assignment."""
    return entry(number, ERROR, variant=variant, phase=phase, ts=ASSIGNED_AT + after)


def by_hand(rows: list[Entry]) -> Affected:
    """Return whom the events of the question befell, one visitor after the other."""
    found: dict[tuple[str, int, str], int] = {}
    rows = [row for row in rows if row.split == "s1" and row.name in {EXPOSURE, ERROR, SLOW}]
    for who in {row.visitor for row in rows}:
        theirs = [row for row in rows if row.visitor == who]
        assigned_at, phase, variant = min((row.assigned_at, row.phase, row.variant) for row in theirs)
        if len({row.variant for row in theirs}) > 1 or phase not in {1, 2} or variant not in {"master", "test"}:
            continue
        for name in (ERROR, SLOW):
            if any(row.name == name and row.ts < assigned_at + UNTIL for row in theirs):
                found[name, phase, variant] = found.get((name, phase, variant), 0) + 1
    return Affected(
        cells=tuple(
            AffectedCell(event=event, phase=phase, variant=variant, visitors=visitors)
            for (event, phase, variant), visitors in sorted(found.items())
        )
    )


@st.composite
def rows(draw: st.DrawFn) -> Entry:
    """Return a row of one of a few visitors: mostly of their own variant."""
    number = draw(st.integers(0, 5))
    usual = ("master", "test", "other")[number % 3]
    assigned_at = ASSIGNED_AT + draw(st.sampled_from([0, 0, 0, 5000]))
    return entry(
        number,
        draw(st.sampled_from([EXPOSURE, ERROR, ERROR, SLOW, "purchase"])),
        split=draw(st.sampled_from(["s1", "s1", "s1", "s2"])),
        variant=draw(st.sampled_from([usual] * 9 + ["test"])),
        phase=draw(st.sampled_from([1, 1, 1, 2, 3])),
        assigned_at=assigned_at,
        ts=assigned_at + draw(st.sampled_from([0, 1, UNTIL - 1, UNTIL, 3 * UNTIL])),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(rows(), min_size=1, max_size=25), max_size=3))
@example([[error(1), error(1), error(2, "master"), exposure(2, "master"), error(3, after=UNTIL)]])
def test_whom_errors_befell_is_what_the_contract_read_slowly_says(site: Site, batches: list[list[Entry]]) -> None:
    app = f"app-{next(apps)}"
    engine = site.anew()
    for batch in batches:
        engine.load(Batch([msgspec.structs.replace(row, app=app) for row in batch]), FILE, next(apps))
    assert engine.affected(question(app)) == by_hand([row for batch in batches for row in batch])


def test_who_never_came_back_counts_once_and_who_was_in_two_variants_does_not(site: Site) -> None:
    engine = site.open()
    engine.load(Batch([exposure(2), exposure(3), error(3, "master")]), FILE, 1)
    never_back = [error(1, after=after) for after in range(5)]
    of_phase_two = error(4, "master", 2)
    unknown = [error(5, "nobody"), error(6, phase=9)]
    both = [error(7), error(7, "master", 2)]
    engine.load(Batch([*never_back, error(2), of_phase_two, *unknown, *both]), FILE, 2)
    assert engine.affected(question()) == Affected(
        cells=(
            AffectedCell(event=ERROR, phase=1, variant="test", visitors=2),
            AffectedCell(event=ERROR, phase=2, variant="master", visitors=1),
        )
    )
