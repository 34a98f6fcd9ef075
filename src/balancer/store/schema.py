"""The registry's schema: which version a database has, and how it comes to the newest.

Invariants:
    * A new database is made as `tables` has it, which is what the migrations make of one: a test compares the two.
    * What is not new is migrated, by Alembic, which is loaded for that alone: without it a daemon starts sooner.
    * Both happen in the transaction of the caller.
"""

import logging
from pathlib import Path

from sqlalchemy import URL, Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from balancer import logs
from balancer.errors import HostUnfit
from balancer.store.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
# As Alembic makes it: it reads it, and writes into it, when there is something to migrate.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

log = logs.named("registry")


def versions() -> list[str]:
    """Return the versions that this Balancer knows, the newest last; the name of a migration begins with its own."""
    return sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def bring_up_to_date(connection: Connection, url: URL) -> None:
    """Make the newest schema of the one that is there, or of none. Raises HostUnfit where a newer Balancer wrote it."""
    known = versions()
    newest = known[-1]
    tables = inspect(connection).get_table_names()
    if not tables:
        metadata.create_all(connection, checkfirst=False)
        _version.create(connection)
        connection.execute(insert(_version).values(version_num=newest))
        log.info("registry.migrated", before=None, after=newest)
        return
    present = connection.scalar(select(_version.c.version_num)) if _version.name in tables else None
    if present is not None and present not in known:
        raise HostUnfit(
            f"the registry {url.render_as_string()} was written by a newer Balancer: its schema is "
            f"{present}, this one knows {newest} at most; upgrade Balancer, or restore a backup from before"
        )
    if present != newest:
        migrate(connection, newest)
        log.info("registry.migrated", before=present, after=newest)


def migrate(connection: Connection, version: str) -> None:
    """Run the migrations that lead from the schema that is there to this version."""
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    migrations = Config(attributes={"connection": connection})
    migrations.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    migrations.set_main_option("path_separator", "os")
    command.upgrade(migrations, version)
