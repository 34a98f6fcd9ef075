"""The rows of the ledger: watched, brought out, and brought in again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import duckdb
import pytest

from balancer.domain.event_row import Form
from balancer.domain.import_row import read_row
from balancer.stats.cells import SplitCells
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_rows import COLUMNS
from edge_lines import ASSIGNED_AT, visitor
from entries import entry, everything, exposure, load

NOW = ASSIGNED_AT + 86_400_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb")
    yield engine
    engine.close()


def fill(ledger: DuckLedger) -> None:
    """Bring in a bit of everything."""
    load(ledger, *(exposure(number, "test" if number % 2 else "master", 1 + number % 2) for number in range(9)))
    load(ledger, exposure(3, "master"), *(entry(number, "buy", number / 3) for number in range(9)), entry(1, "view"))
    load(ledger, entry(1, "$error"), entry(1, "view", event_id="v1"), entry(2, "view", app="other"))


def rows_of(path: Path, form: Form) -> list[dict[str, object]]:
    match form:
        case Form.CSV:
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case Form.NDJSON:
            return [json.loads(line) for line in path.read_text().splitlines()]
        case Form.PARQUET:
            found = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)])
            heads = [each[0] for each in found.description]
            return [dict(zip(heads, map(_plain, row), strict=True)) for row in found.fetchall()]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float | str) else str(value)


def rounded(found: SplitCells) -> object:
    """Return all of an answer, its floats to 12 digits: sums in another order differ beyond."""
    return json.loads(json.dumps(asdict(found)), parse_float=lambda text: float(f"{float(text):.12g}"))


@pytest.mark.parametrize("form", Form)
def test_what_is_brought_out_and_in_again_gives_the_same_report(ledger: DuckLedger, tmp_path: Path, form: Form) -> None:
    fill(ledger)
    path = tmp_path / "export"
    assert ledger.export(path, "shop", form, None, None).rows == 22
    rows = [read_row(row, name="abcdefgh", number=n, now=NOW) for n, row in enumerate(rows_of(path, form))]
    empty = DuckLedger(tmp_path / "empty.duckdb")
    try:
        assert empty.bring_in("shop", rows).accepted == 22
        assert rounded(everything(empty)) == rounded(everything(ledger))
        assert everything(empty).exposed
        again = empty.bring_in("shop", rows)
        assert (again.accepted, again.duplicate) == (0, 22)
        assert rounded(everything(empty)) == rounded(everything(ledger))
    finally:
        empty.close()


def test_an_import_counts_once_however_long_ago_it_was(tmp_path: Path) -> None:
    now = ASSIGNED_AT
    ledger = DuckLedger(tmp_path / "ledger.duckdb", lambda: now)
    row = read_row({"visitor": visitor(1), "name": "a", "ts": 5}, name="abcdefgh", number=1, now=NOW)
    assert ledger.bring_in("shop", [row]).accepted == 1
    now += 400 * 86_400_000
    assert ledger.bring_in("shop", [row]).duplicate == 1
    ledger.close()


def test_a_file_has_the_columns_of_an_import_and_only_what_is_in_its_range(ledger: DuckLedger, tmp_path: Path) -> None:
    load(ledger, *(entry(1, "a", ts=ts) for ts in (1, 2, 3)))
    path = tmp_path / "it's one"
    assert ledger.export(path, "shop", Form.CSV, 2, 3).rows == 1
    (row,) = rows_of(path, Form.CSV)
    assert tuple(row) == COLUMNS
    assert row["ts"] == "2"
    assert ledger.export(tmp_path / "none", "nowhere", Form.CSV, None, None).rows == 0


def test_the_newest_rows_come_last_and_those_after_a_cursor_once(tmp_path: Path) -> None:
    ledger = DuckLedger(tmp_path / "ledger.duckdb", lambda: ASSIGNED_AT)  # a clock that stands still
    load(ledger, entry(1, "a"), entry(2, "b"))
    first = ledger.newest("shop", None, None, 10)
    assert {row.name for row in first.rows} == {"a", "b"}
    load(ledger, entry(3, "c"), entry(3, "d"))
    load(ledger, entry(4, "e"), entry(4, "x", app="other"))
    second = ledger.newest("shop", None, first.cursor, 10)
    assert [row.name for row in second.rows][-1] == "e"
    assert {row.name for row in second.rows} == {"c", "d", "e"}
    assert ledger.newest("shop", None, second.cursor, 10).rows == ()
    assert ledger.newest("shop", None, first.cursor, 2).skipped == 1
    assert [row.name for row in ledger.newest("shop", "c", first.cursor, 10).rows] == ["c"]
    ledger.close()
