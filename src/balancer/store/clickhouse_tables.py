"""The ledger's tables on ClickHouse, made by numbered steps.

Invariants:
    * A step is done on every server, and noted there; what was done is not done again.
    * A step that was done in part may be done again.
    * Servers of 2018 (18.16) and of today read the same statements.

Where a shard has replicas and its servers have ZooKeeper (or Keeper) and the macros `shard` and `replica`, tables are
replicated. On a cluster `events_everywhere` shows the rows of all shards to people; we ask each shard itself.
"""

from balancer.errors import LedgerUnavailable
from balancer.store.clickhouse_cluster import PLACE, Cluster, Shard
from balancer.store.clickhouse_server import Server
from balancer.store.clickhouse_text import quoted

_EVENTS = """
CREATE TABLE IF NOT EXISTS {database}.events (
    batch UInt64, row UInt32,
    app String, split Int32, phase Int32, variant String, release Nullable(Int64),
    visitor UUID, assigned_at Int64, name String, value Nullable(Float64), ts Int64,
    arrived Int64, event_id Nullable(String), event_key UInt64, source String, stood_in UInt8, dims Nullable(String)
) ENGINE = {MergeTree}
PARTITION BY toYYYYMM(toDateTime(intDiv(arrived, 1000), 'UTC')) ORDER BY (app, name, visitor, ts)
"""
"""Times are milliseconds since 1970, UTC; `event_key` is 0 where there is no id.

By name before visitor, because a report reads the exposures and a few names of an app. By month of arrival, because
a batch then has one partition on a shard, so its rows there are one part, which is there or not; because what
is asked before loading concerns the last arrivals; and because old arrivals are what goes.
"""
_PROGRESS = """
CREATE TABLE IF NOT EXISTS {database}.progress (
    file String, app String, batch UInt64, offset UInt64, gone UInt8,
    workers Array(UInt64), expected Array(UInt64),
    kinds Array(String), reasons Array(String), counts Array(UInt64)
) ENGINE = {ReplacingMergeTree_batch} ORDER BY (file, app)
"""
"""A row with an empty app says how far a file is; one with an app what that file gave of it so far. The row of the
latest batch counts, and it says all: written twice it says nothing new."""
_NAMES = """
CREATE TABLE IF NOT EXISTS {database}.names (app String, name String) ENGINE = {ReplacingMergeTree} ORDER BY (app, name)
"""
_EVERYWHERE = """
CREATE TABLE IF NOT EXISTS {database}.events_everywhere AS {database}.events
ENGINE = Distributed({cluster}, {database}, events, {place})
"""
_ERASED = """
CREATE TABLE IF NOT EXISTS {database}.erased (app String, visitor UInt64, erased_at Int64)
ENGINE = {MergeTree_erased} ORDER BY (app, visitor)
"""
"""Hashes of the ids of visitors, and when they were erased; an empty app stands for all."""
STEPS = ((_EVENTS,), (_PROGRESS,), (_NAMES,), (_EVERYWHERE,), (_ERASED,))
"""What each step executes; the number of a step is its place, from 1 on. New ones are added at the end."""
_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS {database}.migrations (number UInt32, shards UInt32, at DateTime)
ENGINE = MergeTree ORDER BY number
"""


def migrate(cluster: Cluster, database: str, cluster_name: str | None) -> None:
    """Bring the tables of all servers up to date. Raises LedgerUnavailable."""
    for shard, server in cluster.servers():
        engines = _engines(shard, server, database)
        server.do(f"CREATE DATABASE IF NOT EXISTS {database}")
        server.do(_MIGRATIONS.format(database=database))
        done = {
            int(str(number)): int(str(shards))
            for number, shards in server.ask(f"SELECT number, shards FROM {database}.migrations")  # noqa: S608
        }
        if done.keys() - set(range(1, len(STEPS) + 1)):
            raise LedgerUnavailable(f"{server.called} has tables of a newer Balancer (step {max(done)})")
        if any(shards != len(cluster.shards) for shards in done.values()):
            raise LedgerUnavailable(
                f"the tables of {server.called} are of a cluster of {max(done.values())} shards, and it has "
                f"{len(cluster.shards)} now: visitors would be in two places; export the events and import them again"
            )
        for number, statements in enumerate(STEPS, 1):
            if number in done:
                continue
            for statement in statements:
                if statement is _EVERYWHERE and cluster_name is None:
                    continue
                name = quoted(cluster_name or "")
                server.do(statement.format(database=database, cluster=name, place=PLACE, **engines))
            shards = len(cluster.shards)
            server.do(f"INSERT INTO {database}.migrations SELECT {number:d}, {shards:d}, now()")


def _engines(shard: Shard, server: Server, database: str) -> dict[str, str]:
    """Return the engines by the name that statements have for them."""
    if shard.replicas == 1:
        return {
            "MergeTree": "MergeTree",
            "MergeTree_erased": "MergeTree",
            "ReplacingMergeTree": "ReplacingMergeTree",
            "ReplacingMergeTree_batch": "ReplacingMergeTree(batch)",
        }
    keeper = server.ask("SELECT count() FROM system.tables WHERE database = 'system' AND name = 'zookeeper'")
    macros = server.ask("SELECT count() FROM system.macros WHERE macro IN ('shard', 'replica')")
    if keeper != [[1]] or macros != [[2]]:
        raise LedgerUnavailable(
            f"{server.called} is one of {shard.replicas} replicas, and has no ZooKeeper or not the macros shard and "
            "replica: see its configuration"
        )

    def replicated(table: str) -> str:
        return f"'/clickhouse/tables/{{shard}}/{database}/{table}', '{{replica}}'"

    return {
        "MergeTree": f"ReplicatedMergeTree({replicated('events')})",
        "MergeTree_erased": f"ReplicatedMergeTree({replicated('erased')})",
        "ReplacingMergeTree": f"ReplicatedReplacingMergeTree({replicated('names')})",
        "ReplacingMergeTree_batch": f"ReplicatedReplacingMergeTree({replicated('progress')}, batch)",
    }
