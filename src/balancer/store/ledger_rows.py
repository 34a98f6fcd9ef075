"""The rows themselves, as DuckDB gives them: the newest ones, and all of an app as a file.

Invariants:
    * A file is written as the rows were at one moment, in whatever order; memory does not grow with it.
    * What is newer than a cursor is exactly what arrived after it: each batch arrives at a time of its own.

Used by the embedded engine.
"""

from pathlib import Path

import duckdb

from balancer.domain.event_row import EventRow, Exported, Form, Tail

# What an import takes again, in the order in which people look for it.
COLUMNS = (
    *("visitor", "name", "ts", "value", "id", "split", "phase", "variant", "assigned_at", "release", "source"),
    *("stood_in", "dims"),
)
_SHOWN = """
SELECT visitor, names.word AS name, ts, value, event_id AS id,
       CASE WHEN split > 0 THEN 's' || split END AS split, phase, coalesce(variant, '') AS variant, assigned_at,
       release, sources.word AS source, stood_in, dims
FROM ({rows}) AS row JOIN words AS names ON names.id = row.name JOIN words AS sources ON sources.id = row.source
"""
_ALL = _SHOWN.format(rows="SELECT * FROM events WHERE app = $app AND ts >= $since AND ts < $until")
_NEW = "FROM events WHERE app = $app AND arrived > $after AND ($event IS NULL OR list_contains($names, name))"
# The few are found before anything is joined to them: of 10 million in 0.03 s instead of 0.9 s of CPU.
_NEWEST = f"""
{_SHOWN.format(rows=f"SELECT * {_NEW} ORDER BY arrived DESC, ts DESC LIMIT $limit")}
ORDER BY arrived, ts
"""


COPIES = {Form.PARQUET: "FORMAT parquet, COMPRESSION zstd", Form.CSV: "FORMAT csv, HEADER", Form.NDJSON: "FORMAT json"}


def _app(connection: duckdb.DuckDBPyConnection, app: str) -> int:
    """Return the number of an app; 0, which has no rows, where it is not known."""
    found = connection.execute("SELECT id FROM words WHERE kind = 'app' AND word = ?", [app]).fetchone()
    return 0 if found is None else int(found[0])


def write_rows(
    connection: duckdb.DuckDBPyConnection, path: Path, app: str, form: Form, since: int | None, until: int | None
) -> Exported:
    """Write the rows of an app that happened in [since, until) to a new file. Raises duckdb.Error."""
    rows = f"SELECT {', '.join(COLUMNS)} FROM ({_ALL})"  # noqa: S608 # constants
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
        (last,) = connection.execute("SELECT coalesce(max(arrived), 0) FROM events").fetchall()
        names = connection.execute("SELECT id FROM words WHERE kind = 'name' AND word = ?", [event]).fetchall()
        asked: dict[str, object] = {
            "app": _app(connection, app),
            "after": -1 if after is None else after,
            "event": event,
            "names": [number for (number,) in names],
        }
        found = connection.execute(_NEWEST, asked | {"limit": limit}).fetchall()
        # Without a cursor there may be millions, of which nobody asks how many they are.
        counted = 0 if after is None else connection.execute(f"SELECT count(*) {_NEW}", asked).fetchall()[0][0]
    finally:
        connection.rollback()
    rows = tuple(EventRow(str(visitor), *rest) for visitor, *rest in found)
    return Tail(rows=rows, cursor=last[0], skipped=max(0, counted - len(rows)))
