"""Loading: a batch is in whole or not at all, an event with an id once."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from balancer.domain.entry import Batch, BatchRefused, Reason
from balancer.stats.cells import Measure, NamedEvents, Part, SplitQuestion, What
from balancer.stats.tally import Intake
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_load import DEDUPLICATION_MILLISECONDS
from entries import Clock, counted, entry, exposure, load


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
    assert counted(ledger) == {"purchase": 2}
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
    assert counted(ledger) == {}
    load(ledger, entry(1, "new-name"), entry(1, "other-name"))  # their numbers were not taken by what failed
    assert counted(ledger) == {"new-name": 1, "other-name": 1}


# As the tables were before there were metrics.
EARLIER_TABLES = """
CREATE TABLE events (
    app INTEGER, split INTEGER, phase INTEGER, variant VARCHAR, release BIGINT,
    visitor UUID, assigned_at BIGINT, name INTEGER, value DOUBLE, ts BIGINT,
    arrived BIGINT, event_id VARCHAR, event_key BIGINT, source INTEGER, stood_in BOOLEAN);
CREATE TABLE exposures (
    app INTEGER, split INTEGER, visitor UUID,
    assigned_at BIGINT, phase INTEGER, variant VARCHAR, multiple BOOLEAN);
CREATE TABLE offsets (file VARCHAR, "offset" BIGINT);
CREATE TABLE numbers (file VARCHAR, worker BIGINT, expected BIGINT);
CREATE TABLE intake (app VARCHAR, kind VARCHAR, reason VARCHAR, n BIGINT);
CREATE TABLE words (id INTEGER, kind VARCHAR, app INTEGER, word VARCHAR);
"""


def test_a_ledger_of_an_earlier_version_is_opened_with_all_that_it_has(tmp_path: Path, clock: Clock) -> None:
    now, path = DuckLedger(tmp_path / "now.duckdb", clock), tmp_path / "ledger.duckdb"
    load(now, exposure(1), entry(1, "purchase", 2.0, event_id="a"), entry(1, "signup"))
    now.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute(EARLIER_TABLES)
        connection.execute(f"ATTACH '{tmp_path / 'now.duckdb'}' AS now")
        connection.execute("INSERT INTO events BY NAME SELECT * EXCLUDE (dims) FROM now.events")
        connection.execute("INSERT INTO intake FROM now.intake WHERE kind NOT IN ('named', 'valued')")
        for table in ("exposures", "offsets", "numbers", "words"):
            connection.execute(f"INSERT INTO {table} FROM now.{table}")
    for _ in range(2):
        ledger = DuckLedger(path, clock)
        load(ledger, entry(1, "purchase", 2.0, event_id="a"), exposure(2))
        assert ledger.names("shop").names == (
            NamedEvents(event="purchase", events=1, valued=1),
            NamedEvents(event="signup", events=1, valued=0),
        )
        measure = Measure(name="m", y=Part(event="purchase", what=What.EVENTS), until=86_400_000)
        asked = SplitQuestion(
            app="shop", split="s1", phases=(1,), variants=("test",), measures=(measure,),
            as_of=clock.now + 10, dimension="device",
        )  # fmt: skip
        (found,) = ledger.cells(asked).measures
        assert [(cell.events, cell.moments.n) for cell in found.cells] == [(1, 2)]
        ledger.close()
