"""Files to bring in, as rows with the number of their line."""

import io
import json
from pathlib import Path

import duckdb
import pytest

from balancer.cli import import_file
from balancer.cli.import_file import batches, form_of, name_of
from balancer.domain.event_row import Form
from balancer.errors import InvalidInput


def rows(text: bytes, form: Form) -> list[tuple[int, object]]:
    found = list(batches(io.BytesIO(text), form, len(text)))
    assert not found or found[-1].done == 1.0
    lines = [line for batch in found for line in batch.lines.split(b"\n")]
    return list(zip((n for batch in found for n in batch.numbers), map(json.loads, lines), strict=True))


def test_a_csv_gives_its_rows_with_the_line_where_each_ends() -> None:
    text = b'visitor,name,dims\nv1,"a\nb",\n\nv2,c,"{""x"":1}"\nv3,d,e,f\n'
    assert rows(text, Form.CSV) == [
        (3, {"visitor": "v1", "name": "a\nb", "dims": ""}),
        (5, {"visitor": "v2", "name": "c", "dims": '{"x":1}'}),
        (6, {"visitor": "v3", "name": "d", "dims": "e", "more cells": ["f"]}),
    ]


def test_a_csv_without_names_of_columns_is_refused() -> None:
    with pytest.raises(InvalidInput, match="names of the columns"):
        rows(b"v1,a,1\n", Form.CSV)


def test_what_is_no_utf_8_is_given_as_it_is_to_be_refused() -> None:
    assert rows(b"visitor,name\nv,\xff\n", Form.CSV) == [(2, {"visitor": "v", "name": "\udcff"})]


def test_lines_of_json_are_given_as_they_are_and_empty_ones_are_skipped() -> None:
    assert rows(b'{"a":1}\r\n\n{"b":2}', Form.NDJSON) == [(1, {"a": 1}), (3, {"b": 2})]


def test_rows_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "BATCH_ROWS", 2)
    text = b"1\n2\n3\n"
    assert [(each.numbers, each.lines) for each in batches(io.BytesIO(text), Form.NDJSON, 6)] == [
        ((1, 2), b"1\n2"),
        ((3,), b"3"),
    ]


def test_a_parquet_gives_its_rows_and_what_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'v' AS visitor, 7::BIGINT AS ts, uuid() AS id) TO '{path}' (FORMAT parquet)")
    with path.open("rb") as file:
        (batch,) = batches(file, Form.PARQUET, 1)
    assert batch.numbers == (1,)
    assert json.loads(batch.lines) | {"id": ""} == {"visitor": "v", "ts": 7, "id": ""}
    path.write_bytes(b"something else")
    with path.open("rb") as file, pytest.raises(InvalidInput, match="no Parquet"):
        list(batches(file, Form.PARQUET, 1))


def test_the_same_content_is_the_same_import() -> None:
    assert name_of(io.BytesIO(b"a")) == name_of(io.BytesIO(b"a")) != name_of(io.BytesIO(b"b"))


def test_the_name_of_a_file_tells_its_form_unless_it_is_said() -> None:
    assert form_of(Path("x.CSV"), None) is Form.CSV
    assert form_of(Path("x.jsonl"), None) is Form.NDJSON
    assert form_of(Path("x"), Form.PARQUET) is Form.PARQUET
    with pytest.raises(InvalidInput, match="--format"):
        form_of(Path("x.xlsx"), None)
