"""What servers sent is loaded by lists as it would be by entries."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from balancer.domain.entry import Batch, Reason
from balancer.domain.sent import SentEvent
from balancer.stats.tally import Intake
from balancer.store import ledger_load
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_sent import LINE_ROWS
from edge_lines import ASSIGNED_AT, visitor
from entries import Clock, entry


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[tuple[DuckLedger, DuckLedger]]:
    by_lists, by_entries = (DuckLedger(tmp_path / name, Clock()) for name in ("lists.duckdb", "entries.duckdb"))
    yield by_lists, by_entries
    by_lists.close()
    by_entries.close()


def sent(number: int, name: str = "a", **others: object) -> SentEvent:
    said = {"value": None, "id": None, "dims": None} | others
    return SentEvent(visitor(number), ASSIGNED_AT + number, name, **said)  # type: ignore[arg-type]


def batch(*events: SentEvent, app: str = "shop") -> Batch:
    return Batch(sent=[(app, list(events))])


def rows(ledger: DuckLedger) -> list[tuple[object, ...]]:
    with ledger._question() as connection:
        return connection.execute(
            "SELECT events.* EXCLUDE (app, name, source), app.word, name.word, source.word FROM events "
            "JOIN words AS app ON events.app = app.id JOIN words AS name ON events.name = name.id "
            "JOIN words AS source ON events.source = source.id ORDER BY ALL"
        ).fetchall()


def in_both(ledgers: tuple[DuckLedger, DuckLedger], batches: Sequence[Batch]) -> None:
    """Load batches by lists, and their entries, and compare what there is."""
    by_lists, by_entries = ledgers
    for place, each in enumerate(batches):
        by_lists.load(each, "000001.ndjson", place)
        by_entries.load(Batch(each.all_entries(), each.refused), "000001.ndjson", place)
    assert rows(by_lists) == rows(by_entries)
    for app in ("shop", "blog"):
        assert by_lists.intake(app) == by_entries.intake(app)
        assert by_lists.names(app) == by_entries.names(app)


@pytest.mark.parametrize("seed", range(8))
def test_lists_give_the_rows_words_and_counts_that_entries_give(
    ledgers: tuple[DuckLedger, DuckLedger], seed: int
) -> None:
    dice = random.Random(seed)

    def event() -> SentEvent:
        return sent(
            dice.randrange(50),
            dice.choice(["view", "click", "purchase"]),
            value=dice.choice([None, dice.uniform(-5, 5), 1e12, 5e-324]),
            id=dice.choice([None, None, f"e-{dice.randrange(3000)}"]),
            dims=dice.choice([None, '{"plan":"a\\"\\nü"}']),
        )

    batches = [Batch(sent=[(app, [event() for _ in range(30)]) for app in ("shop", "blog", "shop")]) for _ in range(5)]
    batches[0].refuse("shop", Reason.TIME, 3)
    in_both(ledgers, batches)


def test_more_events_than_a_line_holds_are_all_in(ledgers: tuple[DuckLedger, DuckLedger]) -> None:
    in_both(ledgers, [batch(*(sent(number, value=float(number)) for number in range(2 * LINE_ROWS + 1)))])
    assert ledgers[0].intake("shop") == Intake(accepted=2 * LINE_ROWS + 1)


def test_what_all_have_in_common_is_nothing_or_something(ledgers: tuple[DuckLedger, DuckLedger]) -> None:
    in_both(ledgers, [batch(sent(1)), batch(sent(1)), batch(sent(1), sent(1)), batch(sent(2, value=1.0, id="x"))])
    assert ledgers[0].intake("shop") == Intake(accepted=5)


def test_an_id_counts_once_in_a_batch_in_the_ledger_and_beside_lines(ledgers: tuple[DuckLedger, DuckLedger]) -> None:
    mixed = batch(sent(1, id="y"))
    mixed.entries.append(entry(1, "a", event_id="y"))
    in_both(ledgers, [batch(sent(1, id="x"), sent(2, id="x")), batch(sent(3, id="x"), sent(4, id="z")), mixed])
    assert ledgers[0].intake("shop") == Intake(accepted=3, duplicate=3)


def test_who_was_erased_does_not_come_back_and_the_others_do(ledgers: tuple[DuckLedger, DuckLedger]) -> None:
    for each in ledgers:
        each.erase("shop", visitor(1))
    in_both(ledgers, [batch(sent(1), sent(2)), batch(sent(3))])
    assert ledgers[0].intake("shop").accepted == 2


def test_only_what_is_to_be_left_out_makes_entries_of_a_batch(
    ledgers: tuple[DuckLedger, DuckLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all of the above would be true of entries alone."""
    monkeypatch.setattr(ledger_load, "_Row", None)
    ledgers[0].erase("shop", visitor(1))
    ledgers[0].load(batch(sent(2, id="x"), sent(3)), "000001.ndjson", 1)
    with pytest.raises(TypeError):
        ledgers[0].load(batch(sent(1, id="y"), sent(4, id="x"), sent(5)), "000001.ndjson", 2)
