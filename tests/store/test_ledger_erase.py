"""Taking out of the ledger: a visitor, and what is too old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased
from balancer.stats.cells import EventNames, NamedEvents
from balancer.stats.raw import RawQuestion
from balancer.stats.tally import Intake
from balancer.store.ledger import DuckLedger
from edge_lines import ASSIGNED_AT, visitor
from entries import Clock, counted, entry, exposed, exposure, load

DAY = 86_400_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb", clock)
    yield engine
    engine.close()


def events(ledger: DuckLedger, app: str = "shop") -> int:
    return sum(cell.count for cell in ledger.raw(RawQuestion(app=app)).cells)


def test_a_visitor_is_erased_with_every_row_and_exposure_and_nobody_else_is(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "a"), entry(1, "b"), exposure(2), entry(2, "a"), entry(1, "a", app="other"))
    assert ledger.erase("shop", visitor(1)) == Erased(events=3, exposures=1)
    assert exposed(ledger) == {(1, "test"): 1}
    assert (events(ledger), events(ledger, "other")) == (1, 1)
    assert ledger.names("shop") == EventNames(names=(NamedEvents(event="a", events=1, valued=0),))
    assert ledger.erase("shop", visitor(1)) == Erased()
    assert ledger.erase(None, visitor(1)) == Erased(events=1)
    assert events(ledger, "other") == 0


def test_an_erased_visitor_does_not_come_back_from_what_was_still_to_be_read(clock: Clock, tmp_path: Path) -> None:
    ledger = DuckLedger(tmp_path / "ledger.duckdb", clock)
    clock.now = ASSIGNED_AT + 5000
    ledger.erase("shop", visitor(1))
    before = (exposure(1), entry(1, "a", ts=ASSIGNED_AT + 4999))
    load(ledger, *before, entry(2, "a"))
    assert exposed(ledger) == {}
    assert counted(ledger) == {}
    assert ledger.intake("shop") == Intake(accepted=1, refused=2, reasons=(("erased", 2),))
    ledger.close()
    again = DuckLedger(tmp_path / "ledger.duckdb", clock)  # as a new process knows it
    load(again, *before)
    assert events(again) == 1
    load(again, entry(1, "a", ts=ASSIGNED_AT + 5001))
    assert events(again) == 2  # what happens from then on is recorded
    load(again, entry(1, "a", ts=ASSIGNED_AT + 5001, source=EventSource.API))
    assert events(again) == 2  # a sender's clock may be ahead
    again.close()


def test_what_arrived_before_a_day_goes_and_what_a_running_split_needs_stays(ledger: DuckLedger, clock: Clock) -> None:
    for day in range(4):
        clock.now = ASSIGNED_AT + day * DAY
        load(ledger, exposure(day, assigned_at=clock.now), entry(day, "a"), entry(day, "a", app="other"))
    removed = ledger.remove_before({"shop": ASSIGNED_AT + DAY}, ASSIGNED_AT + 3 * DAY)
    assert removed == {"shop": Erased(events=2, exposures=1), "other": Erased(events=3)}
    assert (events(ledger), events(ledger, "other")) == (3, 1)
    assert ledger.remove_before({"shop": ASSIGNED_AT + DAY}, ASSIGNED_AT + 3 * DAY) == {}
