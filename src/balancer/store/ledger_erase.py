"""Taking out of the ledger: a visitor, and what is too old.

Invariants:
    * An erased visitor does not come back from lines, batches or files that were written before and are read later.
    * Nothing of an erased visitor is kept but the hash of the id, and when that was.
    * Doing it twice takes out nothing more.

Used by the embedded engine, in turn with its loading.
"""

from collections.abc import Iterable, Mapping

import duckdb
import xxhash

from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased
from balancer.domain.sent import FUTURE_MILLISECONDS

ALL_APPS = 0
"""Stands for the app where a visitor was erased from all of them."""
_TABLE = "CREATE TABLE IF NOT EXISTS erased (app INTEGER, visitor BIGINT, erased_at BIGINT)"
_APPS = "SELECT word, id FROM words WHERE kind = 'app'"
# What these say of the time is the sender's, whose clock may be ahead.
_TIMED_BY_SENDER = frozenset({EventSource.API, EventSource.IMPORT})


class Erasures:
    """Who was erased, and when: the table `erased`, and all of it in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(_TABLE)
        self._connection = connection
        rows = connection.execute("SELECT app, visitor, max(erased_at) FROM erased GROUP BY ALL").fetchall()
        self._known: dict[tuple[int, int], int] = {(app, visitor): at for app, visitor, at in rows}

    def hides(self, app: int, visitor: str, ts: int, source: EventSource) -> bool:
        """Tell whether what an entry says was before its visitor was erased."""
        if not self._known:
            return False
        key = _key(visitor)
        at = max(self._known.get((app, key), -1), self._known.get((ALL_APPS, key), -1))
        return ts <= at + (FUTURE_MILLISECONDS if at >= 0 and source in _TIMED_BY_SENDER else 0)

    def hides_some(self, visitors: Iterable[str]) -> bool:
        """Tell whether any of them was erased, of whichever app."""
        return bool(self._known) and not {visitor for _, visitor in self._known}.isdisjoint(map(_key, visitors))

    def erase(self, app: int, visitor: str, now: int) -> Erased:
        """Take out every row of a visitor, of one app or of ALL_APPS, in the transaction that the connection is in."""
        where = "visitor = $visitor::UUID" + ("" if app == ALL_APPS else " AND app = $app")
        asked: dict[str, object] = {"visitor": visitor} | ({} if app == ALL_APPS else {"app": app})
        erased = Erased(
            events=_count(self._connection.execute(f"DELETE FROM events WHERE {where}", asked)),  # noqa: S608
            exposures=_count(self._connection.execute(f"DELETE FROM exposures WHERE {where}", asked)),  # noqa: S608
        )
        self._connection.execute("INSERT INTO erased VALUES (?, ?, ?)", [app, _key(visitor), now])
        return erased

    def remember(self, app: int, visitor: str, now: int) -> None:
        """Go by what `erase` did, once that is committed."""
        self._known[app, _key(visitor)] = now


def remove_before(
    connection: duckdb.DuckDBPyConnection, kept_since: Mapping[str, int], otherwise: int
) -> dict[str, Erased]:
    """Take out what arrived, and who was assigned, before the times of the apps; return what that was, by app."""
    removed: dict[str, Erased] = {}
    for name, app in connection.execute(_APPS).fetchall():
        before = [app, kept_since.get(name, otherwise)]
        gone = Erased(
            events=_count(connection.execute("DELETE FROM events WHERE app = ? AND arrived < ?", before)),
            exposures=_count(connection.execute("DELETE FROM exposures WHERE app = ? AND assigned_at < ?", before)),
        )
        if gone != Erased():
            removed[name] = gone
    return removed


def _count(done: duckdb.DuckDBPyConnection) -> int:
    (row,) = done.fetchall()
    return int(row[0])


def _key(visitor: str) -> int:
    return xxhash.xxh3_64_intdigest(visitor.encode()) - (1 << 63)
