"""All rows of an app as a file, from ClickHouse: fetched shard by shard as JSON, and written in form by DuckDB.

Invariant: memory does not grow with the file; beside it there is, for a while, one of the same rows as JSON.

Used by the ClickHouse engine.
"""

from pathlib import Path

import duckdb

from balancer.domain.event_row import Exported, Form
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import quoted
from balancer.store.ledger_rows import COLUMNS, COPIES

_FETCHED = (
    "visitor AS u, name AS n, ts AS t, value AS x, event_id AS i, split AS s, phase AS p, variant AS v, "
    "assigned_at AS b, release AS r, source AS o, stood_in AS w, dims AS d"
)
_ROWS = """
SELECT u AS visitor, n AS name, t AS ts, x AS value, i AS id, CASE WHEN s > 0 THEN 's' || s END AS split, p AS phase,
       v AS variant, b AS assigned_at, r AS release, o AS source, w = 1 AS stood_in, d AS dims
FROM read_json('{rows}', format = 'newline_delimited', columns = {{
    u: 'UUID', n: 'VARCHAR', t: 'BIGINT', x: 'DOUBLE', i: 'VARCHAR', s: 'INTEGER', p: 'INTEGER', v: 'VARCHAR',
    b: 'BIGINT', r: 'BIGINT', o: 'VARCHAR', w: 'UTINYINT', d: 'VARCHAR'}})
"""


def write_rows(
    cluster: Cluster, database: str, path: Path, app: str, form: Form, since: int | None, until: int | None
) -> Exported:
    """Write the rows of an app that happened in [since, until) to a new file. Raises LedgerUnavailable, OSError."""
    conditions = [f"app = {quoted(app)}", f"batch <= {last_batch(cluster.first, database):d}"]
    if since is not None:
        conditions.append(f"ts >= {since:d}")
    if until is not None:
        conditions.append(f"ts < {until:d}")
    sql = f"SELECT {_FETCHED} FROM {database}.events WHERE {' AND '.join(conditions)}"  # noqa: S608 # quoted, integers
    fetched = path.with_name(f"{path.name}.rows")
    try:
        with fetched.open("wb") as file:
            for shard in cluster.shards:
                shard.writer.fetch(f"{sql}\nFORMAT JSONEachRow", file)
        rows = _ROWS.format(rows=str(fetched).replace("'", "''"))
        target = str(path).replace("'", "''")
        with duckdb.connect() as connection:
            (written,) = connection.execute(
                f"COPY (SELECT {', '.join(COLUMNS)} FROM ({rows})) TO '{target}' ({COPIES[form]})"  # noqa: S608
            ).fetchall()
        return Exported(rows=written[0])
    finally:
        fetched.unlink(missing_ok=True)
