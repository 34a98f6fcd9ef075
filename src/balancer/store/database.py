"""The registry's database: opened from a URL, brought to the newest schema.

Invariants:
    * What a transaction committed survives the death of the process and of the machine.
    * The schema is made, or migrated, in one transaction: after a crash all of it is there, or nothing is.
    * A database that a newer Balancer has written is refused and left as it is.

Used by the composition root, which gives the engine to `SqlRegistry`.
"""

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from balancer.errors import DataDirectoryUnusable
from balancer.store import schema

_FILE = "registry.db"
_PRAGMAS = (
    # 5 s: a backup by another process holds the lock for less.
    "busy_timeout = 5000",
    "journal_mode = WAL",
    # NORMAL would lose the last commits with the power; a deploy that was acknowledged must stay.
    "synchronous = FULL",
    "foreign_keys = ON",
)


def default_url(data_dir: Path) -> URL:
    """Return where the registry is unless a setting says otherwise."""
    return URL.create("sqlite", database=str(data_dir / _FILE))


def open_database(url: str | URL) -> Engine:
    """Open the database at `url`, make it if it is not there, and migrate it to the newest schema.

    Raises DataDirectoryUnusable, or HostUnfit where a newer Balancer has written it.
    """
    url = make_url(url)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            schema.bring_up_to_date(connection, url)
    except (DBAPIError, sqlite3.DatabaseError) as reason:
        engine.dispose()
        cause = getattr(reason, "orig", reason)
        raise DataDirectoryUnusable(str(Path(url.database or "").parent), f"{_FILE}: {cause}") from reason
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Set a new SQLite connection up; from here on we alone say when a transaction begins."""
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # IMMEDIATE, because a reader that turns writer half way would fail at once where another process writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
