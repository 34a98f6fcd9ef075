"""The rows themselves, as DuckDB gives them: the newest ones, and all of an app as a file.

Invariants:
    * A file is written as the rows were at one moment, in whatever order; memory does not grow with it.
    * What is newer than a cursor is exactly what arrived after it: each batch arrives at a time of its own.

Used by the embedded engine.
"""

from enum import StrEnum
from pathlib import Path

import duckdb

from balancer.domain.event_row import EventRow, Exported, Tail

# What an import takes again, in the order in which people look for it.
COLUMNS = (
    *("visitor", "name", "ts", "value", "id", "split", "phase", "variant", "assigned_at", "release", "source"),
    *("stood_in", "dims"),
)
_ROWS = """
SELECT visitor, names.word AS name, ts, value, event_id AS id,
       CASE WHEN split > 0 THEN 's' || split END AS split, phase, coalesce(variant, '') AS variant, assigned_at,
       release, sources.word AS source, stood_in, dims, arrived
FROM events JOIN words AS names ON names.id = name JOIN words AS sources ON sources.id = source
WHERE events.app = $app
"""


class Form(StrEnum):
    """What a file may be."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


COPIES = {Form.PARQUET: "FORMAT parquet, COMPRESSION zstd", Form.CSV: "FORMAT csv, HEADER", Form.NDJSON: "FORMAT json"}


def _app(connection: duckdb.DuckDBPyConnection, app: str) -> int:
    """Return the number of an app; 0, which has no rows, where it is not known."""
    found = connection.execute("SELECT id FROM words WHERE kind = 'app' AND word = ?", [app]).fetchone()
    return 0 if found is None else int(found[0])


def write_rows(
    connection: duckdb.DuckDBPyConnection, path: Path, app: str, form: Form, since: int | None, until: int | None
) -> Exported:
    """Write the rows of an app that happened in [since, until) to a new file. Raises duckdb.Error."""
    columns = ", ".join(COLUMNS)
    rows = f"SELECT {columns} FROM ({_ROWS}) WHERE ts >= $since AND ts < $until"  # noqa: S608 # constants
    # COPY takes no parameters: these are numbers, and a path of our own.
    numbers = {"$app": _app(connection, app), "$since": since or 0, "$until": 1 << 62 if until is None else until}
    for name, number in numbers.items():
        rows = rows.replace(name, str(int(number)))
    target = str(path).replace("'", "''")
    (written,) = connection.execute(f"COPY ({rows}) TO '{target}' ({COPIES[form]})").fetchall()
    return Exported(rows=written[0])


def newest_rows(
    connection: duckdb.DuckDBPyConnection, app: str, event: str | None, after: int | None, limit: int
) -> Tail:
    """Return the newest rows, of those that arrived after a cursor where one is given."""
    connection.begin()
    try:
        number = _app(connection, app)
        (last,) = connection.execute("SELECT coalesce(max(arrived), 0) FROM events").fetchall()
        conditions = "arrived > $after AND ($event IS NULL OR name = $event)"
        asked = {"app": number, "after": -1 if after is None else after, "event": event, "limit": limit}
        found = connection.execute(
            f"SELECT * EXCLUDE arrived, count(*) OVER () FROM ({_ROWS}) WHERE {conditions} "  # noqa: S608
            "ORDER BY arrived DESC, ts DESC LIMIT $limit"
            if after is not None
            # Without a cursor there may be millions, of which nobody asks how many they are.
            else f"SELECT * EXCLUDE arrived, 0 FROM ({_ROWS}) WHERE {conditions} "  # noqa: S608
            "ORDER BY arrived DESC, ts DESC LIMIT $limit",
            asked,
        ).fetchall()
    finally:
        connection.rollback()
    rows = tuple(EventRow(str(visitor), *rest) for visitor, *rest, _ in reversed(found))
    return Tail(rows=rows, cursor=last[0], skipped=max(0, found[0][-1] - len(rows)) if found else 0)
