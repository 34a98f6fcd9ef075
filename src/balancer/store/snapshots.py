"""The snapshot of the registry, of which only those tables are read again that were written to.

Invariants:
    * A snapshot is what a reader of the whole database would find at that moment, whoever has written to it.
    * What has not changed between two snapshots is the same object in both.

The registry is asked for one with each look at what is, every second, and to read thousands of rows takes 100 ms.
"""

import sqlite3
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine, ExecutionContext, UpdateBase, event

from balancer.domain.snapshot import Snapshot
from balancer.store import apps, instances, releases, rows, splits, tables

T = TypeVar("T")

# What each part of a snapshot is read from.
_APPS = frozenset({tables.apps.name, tables.domains.name})
_INSTANCES = frozenset({tables.instances.name})
_RELEASES = frozenset({tables.releases.name}) | _INSTANCES
_SPLITS = frozenset({tables.splits.name, tables.phases.name})
_EVERYTHING = _APPS | _RELEASES | _SPLITS
_READING = ("SELECT", "PRAGMA", "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")


class Snapshots:
    """Gives snapshots of one database, always from the same thread."""

    def __init__(self, engine: Engine) -> None:
        self._written = set(_EVERYTHING)
        """Tables that may be others than in `_last`; by a transaction that was rolled back too."""
        self._last = Snapshot()
        self._seen: tuple[sqlite3.Connection, int] | None = None
        """The connection of the last reading, and what counts the transactions of all others."""
        self._app = _Remembered(rows.app)
        self._release = _Remembered(rows.release)
        self._instance = _Remembered(rows.instance)
        self._split = _Remembered(rows.split)
        event.listen(engine, "before_cursor_execute", self._note)

    def read(self, connection: Connection) -> Snapshot:
        """Return what should be, as of now; in a transaction that has written nothing."""
        seen, written, last = _others(connection), self._written, self._last
        if seen is None or seen != self._seen:
            written |= _EVERYTHING
        if written:
            self._last = Snapshot(
                apps=apps.all_apps(connection, self._app.again()) if written & _APPS else last.apps,
                releases=releases.not_over(connection, self._release.again()) if written & _RELEASES else last.releases,
                instances=(
                    instances.not_stopped(connection, self._instance.again())
                    if written & _INSTANCES
                    else last.instances
                ),
                splits=splits.not_over(connection, self._split.again()) if written & _SPLITS else last.splits,
            )
            written.clear()
            self._seen = seen
        return self._last

    def _note(
        self,
        _connection: Connection,
        _cursor: object,
        statement: str,
        _parameters: object,
        context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        """Remember what a statement may have written to."""
        compiled = getattr(context, "compiled", None)
        if compiled is not None and isinstance(compiled.statement, UpdateBase):
            self._written |= _EVERYTHING & {compiled.statement.entity_description["table"].name}
        elif not statement.lstrip().upper().startswith(_READING):
            self._written |= _EVERYTHING


class _Remembered(Generic[T]):
    """Makes values of rows; of the same row as in the reading before, the same value."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._before: dict[tuple[tuple[Hashable, ...], ...], T] = {}
        self._now: dict[tuple[tuple[Hashable, ...], ...], T] = {}

    def again(self) -> Callable[..., T]:
        """Return what makes the values of one more reading; what that does not ask for is forgotten."""
        self._before, self._now = self._now, {}
        return self._value

    def _value(self, *of: Iterable[Hashable]) -> T:
        key = tuple(map(tuple, of))  # plain tuples: to compare two rows takes 14 µs
        value = self._before.get(key)
        if value is None:
            value = self._make(*of)
        self._now[key] = value
        return value


def _others(connection: Connection) -> tuple[sqlite3.Connection, int] | None:
    """Return what tells whether others have written since: the same as before, if not. None: it cannot be told."""
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        return None
    return raw, int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())
