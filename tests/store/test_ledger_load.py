"""Loading: a batch is in whole or not at all, an event with an id once."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.domain.entry import Batch, BatchRefused, Reason
from balancer.stats.tally import Intake
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_load import DEDUPLICATION_MILLISECONDS
from entries import Clock, entry, exposure, load, tally


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb", clock)
    yield engine
    engine.close()


def test_an_event_id_counts_once_in_an_app(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "purchase", 2.0, event_id="a"), entry(1, "purchase", 2.0, event_id="a"))
    load(ledger, entry(1, "purchase", 2.0, event_id="a"), entry(1, "purchase", 3.0, event_id="b"))
    load(ledger, entry(1, "purchase", 2.0, app="blog", event_id="a"))
    assert [cell.count for cell in tally(ledger).events] == [2]
    assert ledger.intake("shop") == Intake(accepted=2, duplicate=2)
    assert ledger.intake("blog") == Intake(accepted=1)


def test_an_event_id_counts_again_after_seven_days_of_arrivals(ledger: DuckLedger, clock: Clock) -> None:
    load(ledger, entry(1, "purchase", event_id="a"))
    clock.now += DEDUPLICATION_MILLISECONDS - 1
    load(ledger, entry(1, "purchase", event_id="a"))
    assert ledger.intake("shop") == Intake(accepted=1, duplicate=1)
    clock.now += 1
    load(ledger, entry(1, "purchase", event_id="a"))
    assert ledger.intake("shop") == Intake(accepted=2, duplicate=1)


def test_refusals_are_counted_by_reason_the_most_frequent_first(ledger: DuckLedger) -> None:
    for _ in range(2):
        batch = Batch([entry(1, "a")])
        for app, reason in [("shop", Reason.NAME), ("shop", Reason.VALUE), ("shop", Reason.VALUE), ("blog", Reason.ID)]:
            batch.refuse(app, reason)
        ledger.load(batch, "000001.log", 1)
    assert ledger.intake("shop") == Intake(accepted=2, refused=6, reasons=(("value", 4), ("name", 2)))


def test_a_batch_that_cannot_be_stored_is_refused_whole(ledger: DuckLedger) -> None:
    load(ledger, exposure(1))
    impossible = entry(1, "new-name", ts=2**70)
    batch = Batch([entry(1, "other-name"), impossible])
    batch.refuse("shop", Reason.NAME)
    with pytest.raises(BatchRefused):
        ledger.load(batch, "000001.log", 77)
    assert ledger.offsets() == {"000001.log": 1}
    assert ledger.intake("shop") == Intake()
    assert tally(ledger).events == ()
    load(ledger, entry(1, "new-name"), entry(1, "other-name"))  # their numbers were not taken by what failed
    assert {cell.event for cell in tally(ledger).events} == {"new-name", "other-name"}
