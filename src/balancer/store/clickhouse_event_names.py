"""The names of an app's events, and how many there are of each, as ClickHouse counts them.

Used by the ClickHouse engine.
"""

from collections import Counter

from balancer.stats.cells import EventNames, NamedEvents
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import quoted


def read_names(cluster: Cluster, database: str, app: str) -> EventNames:
    """Return the names of an app's events, and how many there are of each. Raises LedgerUnavailable."""
    counts: Counter[str] = Counter()
    valued: Counter[str] = Counter()
    batch = last_batch(cluster.first, database)
    found = cluster.ask(
        f"SELECT name, count(), countIf(isNotNull(value)) FROM {database}.events "  # noqa: S608 # quoted, integers
        f"WHERE app = {quoted(app)} AND batch <= {batch:d} AND substring(name, 1, 1) != '$' GROUP BY name"
    )
    for rows in found:
        for name, count, with_value in rows:
            counts[str(name)] += int(str(count))
            valued[str(name)] += int(str(with_value))
    return EventNames(
        names=tuple(NamedEvents(event=name, events=counts[name], valued=valued[name]) for name in sorted(counts))
    )
