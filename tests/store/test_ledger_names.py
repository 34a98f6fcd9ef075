"""The names of an app's events: counted as they come, and afterwards where that was not done."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from balancer.domain.entry import ERROR
from balancer.stats.cells import EventNames, NamedEvents
from balancer.store.ledger import DuckLedger
from entries import entry, exposure, load

FOUND = EventNames(
    names=(NamedEvents(event="purchase", events=3, valued=2), NamedEvents(event="signup", events=1, valued=0))
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb")
    yield engine
    engine.close()


def fill(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "purchase", 2.0), entry(2, "purchase", 0.0), entry(1, ERROR))
    load(ledger, entry(1, "purchase", event_id="once"), entry(1, "signup"), entry(1, "read", app="blog"))
    load(ledger, entry(1, "purchase", event_id="once"))


def test_the_names_of_an_app_are_told_with_how_many_events_and_values_there_are(ledger: DuckLedger) -> None:
    fill(ledger)
    assert ledger.names("shop") == FOUND
    assert ledger.names("nobody") == EventNames()


def test_a_ledger_begun_without_the_counts_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    ledger = DuckLedger(path)
    fill(ledger)
    ledger.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM intake WHERE kind IN ('named', 'valued')")
    again = DuckLedger(path)
    assert again.names("shop") == FOUND
    again.close()
