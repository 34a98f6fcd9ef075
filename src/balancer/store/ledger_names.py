"""The names of an app's events, and how many there are of each: counted as they come, for a look at all is long.

Invariants:
    * The counts are of the transaction that brought the events, or took some out.
    * A ledger that was begun without them is counted once, when it is opened.

They stand in the table `intake`, beside what was accepted and refused. Used by the embedded engine.
"""

import duckdb

from balancer.stats.cells import EventNames, NamedEvents

NAMED, VALUED = "named", "valued"
"""The kinds of the counts: events of a name, and those of them with a value. The name stands for the reason."""
_COUNTED = "SELECT EXISTS (FROM intake WHERE kind = ?) OR NOT EXISTS (FROM events)"
_COUNT = """
INSERT INTO intake (app, kind, reason, n)
SELECT app.word, unnest([?, ?]), name.word, unnest([n, valued])
FROM (SELECT app, name, count(*) AS n, count(value) AS valued FROM events GROUP BY ALL) AS events
JOIN words AS app ON app.id = events.app JOIN words AS name ON name.id = events.name WHERE name.app <> 0
"""
_READ = """
SELECT reason, sum(n) FILTER (kind = $named)::BIGINT, coalesce(sum(n) FILTER (kind = $valued), 0)::BIGINT
FROM intake WHERE app = $app AND kind IN ($named, $valued) GROUP BY reason ORDER BY reason
"""


def count_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Count what there is, where that was not done when it came."""
    if not connection.execute(_COUNTED, [NAMED]).fetchall()[0][0]:
        connection.execute(_COUNT, [NAMED, VALUED])


def recount_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Count what there is anew, after something was taken out."""
    connection.execute("DELETE FROM intake WHERE kind IN (?, ?)", [NAMED, VALUED])
    count_names(connection)


def read_names(connection: duckdb.DuckDBPyConnection, app: str) -> EventNames:
    """Return the names of an app's events."""
    rows = connection.execute(_READ, {"app": app, "named": NAMED, "valued": VALUED}).fetchall()
    return EventNames(names=tuple(NamedEvents(event=name, events=n, valued=valued) for name, n, valued in rows))
