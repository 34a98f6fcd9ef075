"""The embedded engine, on real database files."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from balancer.errors import InvalidName, LedgerUnavailable
from balancer.stats.cells import SplitCells
from balancer.stats.tally import Intake
from balancer.store.ledger import DuckLedger
from edge_lines import line
from entries import asked, entry, everything, exposed, exposure, load
from waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.duckdb"


@pytest.fixture
def ledger(path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(path)
    yield engine
    engine.close()


def test_an_empty_ledger_answers_with_nothing(ledger: DuckLedger) -> None:
    assert everything(ledger) == SplitCells()
    assert ledger.intake("shop") == Intake()
    assert ledger.offsets() == {}


def test_a_batch_with_its_offset_is_there_after_the_file_is_opened_again(path: Path) -> None:
    first = DuckLedger(path)
    load(first, exposure(1), entry(1, "purchase", 2.0, event_id="a"))
    before = everything(first).measures
    first.close()
    second = DuckLedger(path)
    assert second.offsets() == {"000001.log": 1}
    load(second, entry(1, "purchase", 2.0, event_id="a"), entry(1, "signup"))
    assert [each for each in everything(second).measures if each.name == "purchase"] == list(before)
    second.forget("000001.log")
    assert second.offsets() == {}
    second.close()


def test_questions_are_answered_while_a_batch_is_being_loaded(ledger: DuckLedger) -> None:
    load(ledger, exposure(0))
    done = threading.Event()

    def keep_loading() -> None:
        for number in range(1, 40):
            load(ledger, exposure(number), entry(number, "purchase", 1.0))
        done.set()

    loader = threading.Thread(target=keep_loading)
    loader.start()
    try:
        while not done.is_set():
            seen = ledger.cells(asked("purchase"))  # a batch is seen whole or not at all
            bought = sum(cell.events for cell in seen.measures[0].cells)
            assert sum(cell.visitors for cell in seen.exposed) == 1 + bought
    finally:
        loader.join()


LOADER = """
import sys
from pathlib import Path
from balancer.domain.entry import Batch
from balancer.proxy.accesslog import read_line
from balancer.store.ledger import DuckLedger

ledger, batch = DuckLedger(Path(sys.argv[1])), Batch()
read_line(sys.argv[2].encode(), batch)
done = ledger.offsets().get("000001.log", 0)
while True:
    done += 1
    ledger.load(batch, "000001.log", done)
    print(done, flush=True)
"""


def test_killed_at_any_moment_rows_offset_and_counters_agree(path: Path) -> None:
    text = line(event="a").decode()
    before, chance = 0, random.Random(3)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", LOADER, path, text], stdout=subprocess.PIPE) as loader:
            assert loader.stdout
            loader.stdout.readline()  # it has loaded something
            end = time.monotonic() + chance.random() / 10
            until(lambda end=end: time.monotonic() > end, 5)  # type: ignore[misc]
            loader.kill()
        ledger = DuckLedger(path)
        done = ledger.offsets()["000001.log"]
        with ledger._question() as connection:
            rows = connection.execute("SELECT count(*) FROM events").fetchone()
        accepted = ledger.intake("shop").accepted
        ledger.close()
        assert rows == (done,)
        assert accepted == done > before
        before = done


def test_closing_ends_a_question_that_would_take_long(path: Path) -> None:
    ledger = DuckLedger(path)
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(duckdb.InterruptException), ledger._question() as connection:
            connection.execute("SELECT count(*) FROM range(100_000_000_000) a, range(1000) b WHERE hash(a, b) = 1")
        ended.set()

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: ledger._asking, 30)
    ledger.close()
    asking.join(60)
    assert ended.is_set()
    with pytest.raises(LedgerUnavailable):
        exposed(ledger)


def test_a_split_that_is_none_is_refused(ledger: DuckLedger) -> None:
    load(ledger, exposure(1))
    with pytest.raises(InvalidName):
        ledger.cells(replace(asked(), split="17"))
    with pytest.raises(InvalidName):
        ledger.releases("shop", "17", [1], ["test"], [])


def test_a_directory_with_the_signs_of_a_pattern_is_only_a_directory(tmp_path: Path) -> None:
    odd = tmp_path / "a[b]*{c}'"
    odd.mkdir()
    ledger = DuckLedger(odd / "ledger.duckdb")
    load(ledger, exposure(1))
    assert exposed(ledger) == {(1, "test"): 1}
    ledger.close()
