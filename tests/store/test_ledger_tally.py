"""The report's question: what is counted, for whom, and what is not."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.entry import ERROR, EXPOSURE, Entry
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, Exposed, SplitTally
from balancer.store.ledger import DuckLedger
from edge_lines import ASSIGNED_AT
from entries import entry, exposure, load, tally


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb")
    yield engine
    engine.close()


def only(tallied: SplitTally, event: str = "purchase") -> EventTally:
    (cell,) = (cell for cell in tallied.events if cell.event == event)
    return cell


def test_each_exposed_visitor_gives_one_number_zeros_included(ledger: DuckLedger) -> None:
    load(ledger, *(exposure(number) for number in range(4)))
    load(ledger, entry(0, "purchase", 3.0), entry(0, "purchase", 5.0), entry(1, "purchase", 2.0))
    load(ledger, entry(2, "purchase"))
    cell = only(tally(ledger))
    assert (cell.phase, cell.variant, cell.count, cell.converted) == (1, "test", 4, 3)
    assert cell.values.n == 3
    assert cell.values.mean == pytest.approx(10 / 3)
    expected = Moments.of([8.0, 2.0, 0.0, 0.0])
    assert cell.per_visitor.n == 4
    assert cell.per_visitor.mean == pytest.approx(expected.mean)
    assert cell.per_visitor.m2 == pytest.approx(expected.m2)


def test_a_cell_in_which_nobody_did_it_is_there_with_its_zeros(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, "master"), exposure(2, "test"), entry(2, "signup"))
    cells = {(cell.variant, cell.count, cell.converted, cell.per_visitor.n) for cell in tally(ledger).events}
    assert cells == {("master", 0, 0, 1), ("test", 1, 1, 1)}


def test_events_of_visitors_that_were_not_exposed_do_not_count(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(2, "purchase", 9.0))
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),))


def test_events_count_from_the_assignment_on(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, assigned_at=ASSIGNED_AT + 5))
    load(ledger, *(entry(1, "a", ts=ASSIGNED_AT + 5 + late) for late in (-1, 0, 1)))
    assert only(tally(ledger), "a").count == 2


def test_events_before_their_exposure_arrives_count_too(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "landing"))
    load(ledger, exposure(1))
    assert only(tally(ledger), "landing").converted == 1


def test_the_first_exposure_decides_the_phase(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, phase=2, assigned_at=ASSIGNED_AT + 9))
    load(ledger, exposure(1, phase=1, assigned_at=ASSIGNED_AT))
    load(ledger, exposure(1, phase=2, assigned_at=ASSIGNED_AT + 9))
    assert tally(ledger).exposed == (Exposed(phase=1, variant="test", visitors=1),)


@pytest.mark.parametrize("together", [True, False])
def test_visitors_seen_in_two_variants_are_left_out_and_counted(ledger: DuckLedger, together: bool) -> None:
    seen = [exposure(1, "test"), exposure(1, "master"), exposure(2, "test"), entry(1, "purchase", 1.0)]
    for batch in [seen] if together else [[each] for each in seen]:
        load(ledger, *batch)
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),), multiple=1)


def test_rows_of_other_phases_variants_splits_and_apps_are_left_out(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2, phase=7), exposure(3, variant="forged"), exposure(4, phase=99_999))
    load(ledger, entry(5, EXPOSURE, split="s2"), entry(6, EXPOSURE, app="blog"))
    load(ledger, entry(1, "a", split="s2"), entry(1, "a", app="blog"), entry(2, "a"), entry(3, "a"))
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),))


def test_the_platforms_own_entries_are_not_among_the_events(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, ERROR))
    assert tally(ledger).events == ()
    assert ledger.intake("shop").accepted == 0


def test_moments_keep_their_digits_where_the_mean_is_large(ledger: DuckLedger) -> None:
    values = [1e12 - offset for offset in range(50)]
    load(ledger, *(exposure(number) for number in range(50)))
    load(ledger, *(entry(number, "purchase", value) for number, value in enumerate(values)))
    cell = only(tally(ledger))
    # A sum of squares would have no digit right here.
    assert cell.values.m2 == pytest.approx(Moments.of(values).m2, rel=1e-3)
    assert cell.per_visitor.m2 == pytest.approx(Moments.of(values).m2, rel=1e-3)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Give an entry of one of a few visitors, so that they meet again in other variants, phases and times."""
    return entry(
        draw(st.integers(0, 5)),
        draw(st.sampled_from([EXPOSURE, "purchase", "signup"])),
        draw(st.none() | st.integers(-3, 3).map(float)),
        variant=draw(st.sampled_from(["master", "test", "forged"])),
        phase=draw(st.integers(1, 3)),
        assigned_at=ASSIGNED_AT + draw(st.integers(0, 3)),
        ts=ASSIGNED_AT + draw(st.integers(0, 5)),
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(entries(), max_size=40), st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_replay_in_any_order_and_any_batches_gives_the_same_tally(
    given_entries: list[Entry], size: int, chance: random.Random
) -> None:
    marked = [
        each if each.name == EXPOSURE else msgspec.structs.replace(each, id=f"id-{place}")
        for place, each in enumerate(given_entries)
    ]
    once, again = DuckLedger(Path(":memory:")), DuckLedger(Path(":memory:"))
    try:
        load(once, *marked)
        replay = marked * 2
        chance.shuffle(replay)
        for start in range(0, len(replay), size):
            load(again, *replay[start : start + size])
        assert rounded(tally(again)) == rounded(tally(once)) == rounded(by_hand(marked))
    finally:
        once.close()
        again.close()


def by_hand(rows: list[Entry]) -> SplitTally:
    """Return the tally as its definition says it, slowly."""
    seen: dict[str, list[Entry]] = {}
    for row in rows:
        if row.name == EXPOSURE:
            seen.setdefault(row.visitor, []).append(row)
    multiple = {who for who, rows in seen.items() if len({row.variant for row in rows}) > 1}
    first = {
        who: min((row.assigned_at, row.phase, row.variant) for row in rows)
        for who, rows in seen.items()
        if who not in multiple
    }
    cells: dict[tuple[int, str], list[str]] = {}
    for who, (_, phase, variant) in first.items():
        if phase in (1, 2) and variant in ("master", "test"):
            cells.setdefault((phase, variant), []).append(who)
    did = {
        (who, name): [r for r in rows if (r.visitor, r.name) == (who, name) and r.ts >= first[who][0]]
        for members in cells.values()
        for who in members
        for name in ("purchase", "signup")
    }
    names = sorted({name for (_, name), found in did.items() if found})
    return SplitTally(
        exposed=tuple(Exposed(phase=p, variant=v, visitors=len(cells[p, v])) for p, v in sorted(cells)),
        multiple=len(multiple),
        events=tuple(
            EventTally(
                event=name,
                phase=phase,
                variant=variant,
                count=sum(len(did[who, name]) for who in members),
                converted=sum(bool(did[who, name]) for who in members),
                values=Moments.of(r.value for who in members for r in did[who, name] if r.value is not None),
                per_visitor=Moments.of(sum(r.value or 0.0 for r in did[who, name]) for who in members),
            )
            for name in names
            for (phase, variant), members in sorted(cells.items())
        ),
    )


def rounded(tallied: SplitTally) -> object:
    def figures(moments: Moments) -> tuple[int, float, float]:
        return moments.n, round(moments.mean, 9), round(moments.m2, 9)

    return (
        tallied.exposed,
        tallied.multiple,
        [
            (c.event, c.phase, c.variant, c.count, c.converted, figures(c.values), figures(c.per_visitor))
            for c in tallied.events
        ],
    )
