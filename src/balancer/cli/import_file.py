"""Files to bring in: CSV, lines of JSON, Parquet, as rows with the number of their line.

Invariants:
    * Memory does not grow with the file.
    * What is no row is given as what it is: the platform refuses it with its reason, here nothing is left out.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb
import xxhash

from balancer.domain.event_row import Form
from balancer.errors import InvalidInput

# 5,000: a batch takes the ledger a tenth of a second, so that the bar moves.
BATCH_ROWS = 5000
_CHUNK_BYTES = 1 << 20
_SUFFIXES = {".parquet": Form.PARQUET, ".csv": Form.CSV, ".ndjson": Form.NDJSON, ".jsonl": Form.NDJSON}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows of a file."""

    numbers: tuple[int, ...]
    """Of their lines, of Parquet of their rows; from 1 on."""
    lines: bytes
    """The rows, a JSON object a line."""
    done: float
    """The part of the file that was read with them, from 0 to 1."""


def form_of(path: Path, named: Form | None) -> Form:
    """Return what a file is, by its name where that is not said. Raises InvalidInput."""
    found = named or _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise InvalidInput(f"{path} does not tell what it is; say --format {', '.join(Form)}")
    return found


def name_of(file: IO[bytes]) -> str:
    """Return the name of an import: what the content is makes it, so that the same file is the same import."""
    digest = xxhash.xxh3_128()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def batches(file: IO[bytes], form: Form, size: int) -> Iterator[Batch]:
    """Give the rows of a file of `size` bytes. Raises InvalidInput where it is none of that form."""
    file.seek(0)
    numbers: list[int] = []
    lines: list[bytes] = []
    done = 0.0
    for number, line, done in _parquet(file) if form is Form.PARQUET else _text(file, form, max(size, 1)):
        numbers.append(number)
        lines.append(line)
        if len(lines) == BATCH_ROWS:
            yield Batch(numbers=tuple(numbers), lines=b"\n".join(lines), done=done)
            numbers, lines = [], []
    if lines:
        yield Batch(numbers=tuple(numbers), lines=b"\n".join(lines), done=done)


_Row = tuple[int, bytes, float]
"""Number of the line, the row in JSON, how much of the file was read then."""


def _text(file: IO[bytes], form: Form, size: int) -> Iterator[_Row]:
    read = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for line in file:
            read += len(line)
            yield line

    if form is Form.NDJSON:
        for number, line in enumerate(counted(), 1):
            if line.strip():
                yield number, line.rstrip(b"\r\n"), read / size
        return
    # What is no UTF-8 is refused where it stands, instead of ending the import.
    reader = csv.DictReader((line.decode(errors="surrogateescape") for line in counted()), restkey="more cells")
    try:
        heads = reader.fieldnames or ()
        if "visitor" not in heads:
            raise InvalidInput("the first line of a CSV has the names of the columns: visitor,name,value,ts,id")
        for row in reader:
            yield reader.line_num, json.dumps(row).encode(), read / size
    except csv.Error as reason:
        raise InvalidInput(f"line {reader.line_num} is no CSV: {reason}") from reason


def _parquet(file: IO[bytes]) -> Iterator[_Row]:
    with duckdb.connect(config={"memory_limit": "400MB", "threads": 1}) as connection:
        path = f"/proc/self/fd/{file.fileno()}"
        try:
            (rows,) = connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchall()
            found = connection.execute("SELECT * FROM read_parquet(?)", [path])
        except duckdb.Error as reason:
            raise InvalidInput(f"this is no Parquet: {reason}") from reason
        heads = [each[0] for each in found.description or ()]
        number = 0
        while some := found.fetchmany(BATCH_ROWS):
            for values in some:
                number += 1
                row: Mapping[str, object] = dict(zip(heads, values, strict=True))
                yield number, json.dumps(row, default=str).encode(), number / max(rows[0], 1)
