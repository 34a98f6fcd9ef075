"""The dictionary: a word keeps its number, and a flood of names ends."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from pathlib import Path

from balancer.domain.event import EventSource
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_words import BEACON_NAMES_LIMIT
from entries import counted, entry, exposure, load


def test_a_word_keeps_its_number_when_the_file_is_opened_again(tmp_path: Path) -> None:
    for names in (["b"], ["a", "b"], ["c", "a"]):
        ledger = DuckLedger(tmp_path / "ledger.duckdb")
        load(ledger, exposure(1), *(entry(1, name) for name in names))
        counts = counted(ledger)
        ledger.close()
    assert counts == {"a": 2, "b": 2, "c": 1}


def test_beacons_bring_so_many_names_and_the_apps_own_are_always_taken(tmp_path: Path) -> None:
    ledger = DuckLedger(tmp_path / "ledger.duckdb")
    flood = [entry(1, f"n{k}", source=EventSource.BEACON) for k in range(BEACON_NAMES_LIMIT + 3)]
    load(ledger, exposure(1), *flood)
    load(ledger, entry(1, "purchase"), entry(1, "n0", source=EventSource.BEACON), flood[-1])
    load(ledger, entry(1, "elsewhere", app="blog", source=EventSource.BEACON))
    assert ledger.intake("shop").reasons == (("too many names", 4),)
    counts = counted(ledger, "purchase", "n0")
    assert counts == {"purchase": 1, "n0": 2}
    assert ledger.intake("blog").accepted == 1
    ledger.close()
