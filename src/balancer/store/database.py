"""The registry's database: opened from a URL, brought to the newest schema.

Invariants:
    * What a transaction committed survives the death of the process and of the machine.
    * The migrations that are missing run in one transaction: after a crash they are all there, or none is.
    * A database that a newer Balancer has written is refused and left as it is.

Used by the composition root, which gives the engine to `SqlRegistry`.
"""

import logging
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from balancer import logs
from balancer.errors import DataDirectoryUnusable, HostUnfit

_FILE = "registry.db"
_MIGRATIONS = Path(__file__).parent / "migrations"
_PRAGMAS = (
    # 5 s: a backup by another process holds the lock for less.
    "busy_timeout = 5000",
    "journal_mode = WAL",
    # NORMAL would lose the last commits with the power; a deploy that was acknowledged must stay.
    "synchronous = FULL",
    "foreign_keys = ON",
)

log = logs.named("registry")


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
            _migrate(connection, url)
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


def _migrate(connection: Connection, url: URL) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    migrations = Config(attributes={"connection": connection})
    migrations.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    migrations.set_main_option("path_separator", "os")
    revisions = [script.revision for script in ScriptDirectory.from_config(migrations).walk_revisions()]
    newest, present = revisions[0], MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in revisions:
        raise HostUnfit(
            f"the registry {url.render_as_string()} was written by a newer Balancer: its schema is "
            f"{present}, this one knows {newest} at most; upgrade Balancer, or restore a backup from before"
        )
    if present != newest:
        command.upgrade(migrations, newest)
        log.info("registry.migrated", before=present, after=newest)
