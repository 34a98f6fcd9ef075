"""The newest rows of an app, as ClickHouse gives them.

Invariant: what is newer than a cursor is exactly what arrived after it: each batch arrives at a time of its own.

Used by the ClickHouse engine.
"""

from balancer.domain.event_row import EventRow, Tail
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import quoted

# A day: without a cursor, the newest rows are looked for among the last arrivals first, not among years of them.
_RECENT_MILLISECONDS = 86_400_000
_COLUMNS = (
    "toString(visitor), name, ts, value, event_id, split, phase, variant, assigned_at, release, source, stood_in, "
    "dims, arrived"
)


def newest_rows(cluster: Cluster, database: str, app: str, event: str | None, after: int | None, limit: int) -> Tail:
    """Return the newest rows, of those that arrived after a cursor where one is given. Raises LedgerUnavailable."""
    seen = f"{database}.events WHERE batch <= {last_batch(cluster.first, database):d}"
    cursor = max(int(str(rows[0][0])) for rows in cluster.ask(f"SELECT max(arrived) FROM {seen}"))  # noqa: S608
    which = f"{seen} AND app = {quoted(app)}" + (f" AND name = {quoted(event)}" if event is not None else "")
    if after is not None:
        counted = cluster.ask(f"SELECT count() FROM {which} AND arrived > {after:d}")  # noqa: S608
        rows = _rows(cluster, f"{which} AND arrived > {after:d}", limit)
        return Tail(
            rows=rows, cursor=cursor, skipped=max(0, sum(int(str(found[0][0])) for found in counted) - len(rows))
        )
    rows = _rows(cluster, f"{which} AND arrived > {cursor - _RECENT_MILLISECONDS:d}", limit)
    return Tail(rows=rows if len(rows) == limit else _rows(cluster, which, limit), cursor=cursor)


def _rows(cluster: Cluster, which: str, limit: int) -> tuple[EventRow, ...]:
    found = cluster.ask(f"SELECT {_COLUMNS} FROM {which} ORDER BY arrived DESC, ts DESC LIMIT {limit:d}")  # noqa: S608
    rows = sorted((row for rows in found for row in rows), key=lambda row: (int(str(row[13])), int(str(row[2]))))
    return tuple(
        EventRow(
            visitor=str(visitor),
            name=str(name),
            ts=int(str(ts)),
            value=None if value is None else float(str(value)),
            id=None if event_id is None else str(event_id),
            split=f"s{split}" if split else None,
            phase=int(str(phase)),
            variant=str(variant),
            assigned_at=int(str(assigned_at)),
            release=None if release is None else int(str(release)),
            source=str(source),
            stood_in=bool(stood_in),
            dims=None if dims is None else str(dims),
        )
        for visitor, name, ts, value, event_id, split, phase, variant, assigned_at, release, source, stood_in, dims, _
        in rows[-limit:]
    )  # fmt: skip
