"""The registry's schema: made anew, and migrated."""

import re
import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from balancer.store import schema
from balancer.store.database import default_url, open_database
from balancer.store.tables import metadata


def made(directory: Path) -> Engine:
    directory.mkdir()
    return open_database(default_url(directory))


def migrated(directory: Path) -> Engine:
    directory.mkdir()
    engine = create_engine(default_url(directory))
    with engine.begin() as connection:
        schema.migrate(connection, schema.versions()[-1])
    return engine


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = migrated(tmp_path / "migrated")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_new_database_is_what_the_migrations_make_and_says_so_itself(tmp_path: Path) -> None:
    """With what compare_metadata does not look at: conditions of indexes, AUTOINCREMENT."""
    anew, older = made(tmp_path / "made"), migrated(tmp_path / "migrated")
    assert definitions(anew) == definitions(older)
    assert rows(anew) == rows(older) == {"alembic_version": [(schema.versions()[-1],)]}
    anew.dispose()
    older.dispose()


# A comma that is not inside brackets: columns that a migration added stand in one line.
_SEPARATE = re.compile(r", (?![^(]*\))")


def definitions(engine: Engine) -> dict[str, list[str]]:
    """Return each table's and index's definition as its lines, in no order."""
    with engine.connect() as connection:
        return {
            name: sorted(part for line in sql.splitlines() for part in _SEPARATE.split(line.strip(" ,\t")))
            for name, sql in connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        }


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of each table that has some."""
    with engine.connect() as connection:
        names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
        found = {name: [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{name}"'))] for name in names}
    return {name: all_rows for name, all_rows in found.items() if all_rows}


def test_the_versions_are_those_of_the_migrations_one_behind_the_other() -> None:
    migrations = Config()
    migrations.set_main_option("script_location", str(schema.MIGRATIONS))
    migrations.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(migrations)
    assert [script.revision for script in scripts.walk_revisions()] == schema.versions()[::-1]


def test_a_database_that_is_not_to_be_migrated_is_opened_without_alembic(tmp_path: Path) -> None:
    opening = "from balancer.store.database import default_url, open_database; from pathlib import Path; import sys\n"
    opening += "open_database(default_url(Path(sys.argv[1]))).dispose(); print('alembic' in sys.modules)"
    for _ in ("new", "again"):
        done = subprocess.run([sys.executable, "-c", opening, tmp_path], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"
