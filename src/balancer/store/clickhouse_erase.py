"""Taking out of the ledger on ClickHouse: a visitor, and what is too old.

Invariants:
    * An erased visitor does not come back from lines, batches or files that were written before and are read later.
    * Nothing of an erased visitor is kept but the hash of the id, and when that was.
    * Doing it twice takes out nothing more.

Deleting rewrites the parts that the rows are in; it is waited for. Used by `clickhouse_load`.
"""

from collections.abc import Iterable, Mapping

import msgspec
import xxhash

from balancer.domain.entry import EXPOSURE, Entry
from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased
from balancer.domain.sent import FUTURE_MILLISECONDS
from balancer.store.clickhouse_cluster import Cluster, Shard
from balancer.store.clickhouse_deletion import delete
from balancer.store.clickhouse_text import quoted

ALL_APPS = ""
"""Stands for the app where a visitor was erased from all of them."""
# What these say of the time is the sender's, whose clock may be ahead.
_TIMED_BY_SENDER = frozenset({EventSource.API, EventSource.IMPORT})


class Erasures:
    """Who was erased, and when: the table `erased`, and all of it in memory."""

    def __init__(self, known: Mapping[tuple[str, int], int]) -> None:
        self._known = dict(known)

    @classmethod
    def read(cls, shard: Shard, database: str) -> "Erasures":
        """Read the table. Raises LedgerUnavailable."""
        rows = shard.writer.ask(
            f"SELECT app, visitor, max(erased_at) FROM {database}.erased GROUP BY app, visitor"  # noqa: S608
        )
        return cls({(str(app), int(str(visitor))): int(str(at)) for app, visitor, at in rows})

    def hides(self, entry: Entry) -> bool:
        """Tell whether what an entry says was before its visitor was erased."""
        if not self._known:
            return False
        key = _key(entry.visitor)
        at = max(self._known.get((entry.app, key), -1), self._known.get((ALL_APPS, key), -1))
        return entry.ts <= at + (FUTURE_MILLISECONDS if at >= 0 and entry.source in _TIMED_BY_SENDER else 0)

    def erase(self, cluster: Cluster, database: str, app: str | None, visitor: str, now: int) -> Erased:
        """Take out every row of a visitor, of one app or of all. Raises LedgerUnavailable; it may be done again."""
        of, key = app or ALL_APPS, _key(visitor)
        row = msgspec.json.encode({"app": str(of), "visitor": key, "erased_at": now})
        # First, so that nothing comes in any more.
        cluster.first.writer.insert(f"INSERT INTO {database}.erased FORMAT JSONEachRow", row, "")
        self._known[str(of), key] = now
        only = f"visitor = toUUID({quoted(visitor)})" + (f" AND app = {quoted(app)}" if app else "")
        shard = cluster.shards[cluster.place(visitor)]
        return sum_of(take_out(shard, database, only).values())


def remove_before(cluster: Cluster, database: str, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
    """Take out what arrived before the times of the apps; return what that was, by app. Raises LedgerUnavailable."""
    named = " OR ".join(f"(app = {quoted(app)} AND arrived < {since:d})" for app, since in sorted(kept_since.items()))
    others = f"arrived < {otherwise:d}"
    if kept_since:
        others += f" AND app NOT IN ({', '.join(map(quoted, sorted(kept_since)))})"
    old = f"({named}) OR ({others})" if named else others
    removed: dict[str, Erased] = {}
    for found in cluster.each(lambda shard: take_out(shard, database, f"({old})")):
        for app, gone in found.items():
            removed[app] = sum_of([removed.get(app, Erased()), gone])
    return removed


def take_out(shard: Shard, database: str, condition: str) -> dict[str, Erased]:
    """Delete rows of a shard, and return what they were, by app. Raises LedgerUnavailable."""
    exposure = quoted(EXPOSURE)
    rows = shard.writer.ask(
        f"SELECT app, count(), uniqExactIf((split, visitor), name = {exposure}) "  # noqa: S608 # quoted, integers
        f"FROM {database}.events WHERE {condition} GROUP BY app"
    )
    found = {
        str(app): Erased(events=int(str(events)), exposures=int(str(exposures))) for app, events, exposures in rows
    }
    if found:
        delete(shard.writer, database, condition)
    return found


def sum_of(parts: Iterable[Erased]) -> Erased:
    """Add up what was taken out."""
    of = list(parts)
    return Erased(events=sum(part.events for part in of), exposures=sum(part.exposures for part in of))


def _key(visitor: str) -> int:
    return xxhash.xxh3_64_intdigest(visitor.encode())
