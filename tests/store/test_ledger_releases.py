"""The cut by release: which release a visitor belongs to, and what is counted for it."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from balancer.domain.entry import Entry
from balancer.stats.moments import Moments
from balancer.stats.tally import Mark, ReleaseEvent, ReleaseExposed, ReleaseTally
from balancer.store.ledger import DuckLedger
from edge_lines import ASSIGNED_AT
from entries import entry, exposed, exposure, load


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb")
    yield engine
    engine.close()


def by(release: int | None, of: Entry, *, ts: int | None = None, stood_in: bool = False) -> Entry:
    """Return an entry whose request was answered by another release."""
    return msgspec.structs.replace(of, release=release, ts=of.ts if ts is None else ts, stood_in=stood_in)


def cut(ledger: DuckLedger, *marks: Mark, variants: Sequence[str] = ("master", "test")) -> ReleaseTally:
    return ledger.releases("shop", "s1", [1, 2], list(variants), list(marks))


def visitors(found: ReleaseTally) -> dict[tuple[str, int | None], int]:
    return {(cell.variant, cell.release): cell.visitors for cell in found.exposed}


def test_a_visitor_belongs_to_the_release_that_answered_the_exposure_and_all_they_did_does(ledger: DuckLedger) -> None:
    load(ledger, by(11, exposure(1)), by(11, exposure(2)), by(12, exposure(3)), by(10, exposure(4, "master")))
    load(ledger, by(12, entry(1, "purchase", 3.0)), by(12, entry(1, "purchase", 5.0)), by(11, entry(3, "purchase")))
    found = cut(ledger)
    assert visitors(found) == {("master", 10): 1, ("test", 11): 2, ("test", 12): 1}
    assert found.events == (
        ReleaseEvent(event="purchase", variant="test", release=11, count=2, converted=1, values=Moments.of([3.0, 5.0])),
        ReleaseEvent(event="purchase", variant="test", release=12, count=1, converted=1, values=Moments.empty()),
    )


@pytest.mark.parametrize(("release", "stood_in"), [(None, False), (99, True)])
def test_where_no_instance_of_the_branch_answered_it_is_the_one_that_the_branch_had_then(
    ledger: DuckLedger, release: int | None, stood_in: bool
) -> None:
    marks = [
        Mark(variant="test", release=11, since=ASSIGNED_AT),
        Mark(variant="test", release=12, since=ASSIGNED_AT + 50),
    ]
    marks.append(Mark(variant="master", release=10, since=ASSIGNED_AT + 60))
    for number, late in enumerate((0, 49, 50, 70)):
        load(ledger, by(release, exposure(number), ts=ASSIGNED_AT + late, stood_in=stood_in))
    load(ledger, by(release, exposure(9), ts=ASSIGNED_AT - 1, stood_in=stood_in))
    assert visitors(cut(ledger, *marks)) == {("test", 11): 2, ("test", 12): 2, ("test", None): 1}


def test_of_two_exposures_of_a_visitor_the_first_that_an_instance_answered_counts(ledger: DuckLedger) -> None:
    load(ledger, by(12, exposure(1), ts=ASSIGNED_AT + 9), by(None, exposure(1), ts=ASSIGNED_AT + 7))
    load(ledger, by(11, exposure(1), ts=ASSIGNED_AT + 8))
    assert visitors(cut(ledger)) == {("test", 11): 1}


def test_who_is_not_in_the_report_is_not_in_its_cut(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(1, "master", assigned_at=ASSIGNED_AT + 1), exposure(2), exposure(3, "gone"))
    load(ledger, exposure(4, phase=7), entry(5, "purchase", 1.0), entry(2, "before", ts=ASSIGNED_AT - 1))
    load(ledger, entry(2, "purchase", 2.0), entry(1, "purchase", 9.0), entry(2, "$error"))
    found = cut(ledger)
    assert visitors(found) == {("test", 3): 1}
    assert [(cell.event, cell.count) for cell in found.events] == [("purchase", 1)]
    assert exposed(ledger) == {(1, "test"): 1}


def test_a_ledger_without_exposures_answers_with_nothing(ledger: DuckLedger) -> None:
    assert cut(ledger, Mark(variant="test", release=1, since=1)) == ReleaseTally()
    load(ledger, entry(1, "purchase"))
    assert cut(ledger) == ReleaseTally()
    load(ledger, exposure(1))
    assert cut(ledger).exposed == (ReleaseExposed(variant="test", release=3, visitors=1),)
