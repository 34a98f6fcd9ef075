"""Opening the registry's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, select, text

from balancer.domain.manifest import WEB
from balancer.errors import DataDirectoryUnusable, HostUnfit
from balancer.store import releases, schema
from balancer.store.database import default_url, open_database
from balancer.store.tables import tokens

TOKEN = text("INSERT INTO tokens (name, digest, created_at) VALUES ('ci', 'd', 0)")


@contextmanager
def opened(directory: Path) -> Iterator[Engine]:
    engine = open_database(default_url(directory))
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_bare(directory: Path) -> Iterator[Engine]:
    """Open the file with neither pragmas nor migrations."""
    engine = create_engine(default_url(directory))
    try:
        yield engine
    finally:
        engine.dispose()


def test_a_database_is_opened_again_with_what_it_held(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with opened(tmp_path) as engine, engine.begin() as connection:
        connection.execute(TOKEN)
    with opened(tmp_path) as engine, engine.begin() as connection:
        assert connection.scalar(select(tokens.c.name)) == "ci"
    assert capfd.readouterr() == ("", "")


def test_a_commit_survives_the_power_and_foreign_keys_are_checked(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, engine.connect() as connection:
        found = {
            pragma: connection.scalar(text(f"PRAGMA {pragma}"))
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        connection = engine.connect()
        connection.execute(TOKEN)
        connection.close()  # without a commit, as an exception would
        with engine.begin() as connection:
            assert connection.scalar(select(tokens.c.name)) is None


def test_migrations_that_are_cut_short_leave_nothing(tmp_path: Path) -> None:
    def cut(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "CREATE TABLE splits" in statement:
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", cut)
    try:
        with pytest.raises(KeyboardInterrupt):
            open_database(default_url(tmp_path))
    finally:
        event.remove(Engine, "before_cursor_execute", cut)
    with opened_bare(tmp_path) as engine:
        assert inspect(engine).get_table_names() == []
    with opened(tmp_path) as engine:
        assert "splits" in inspect(engine).get_table_names()


def test_a_database_of_a_newer_balancer_is_refused_and_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HostUnfit, match=r"registry\.db was written by a newer Balancer: its schema is 9999"):
        open_database(default_url(tmp_path))
    with opened_bare(tmp_path) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_text("a shopping list, long enough for a header " * 30)
    with pytest.raises(DataDirectoryUnusable, match=r"registry\.db: file is not a database") as refused:
        open_database(default_url(tmp_path))
    assert str(tmp_path) in str(refused.value)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match="nowhere cannot be used"):
        open_database(default_url(tmp_path / "nowhere"))


def test_a_directory_with_any_letters_will_do(tmp_path: Path) -> None:
    directory = tmp_path / "100 %s?#ä"
    directory.mkdir()
    with opened(directory):
        assert (directory / "registry.db").exists()


def test_a_registry_of_the_first_schema_keeps_its_releases(tmp_path: Path) -> None:
    with opened_bare(tmp_path) as engine, engine.begin() as connection:
        schema.migrate(connection, "0001")
        connection.execute(text("INSERT INTO apps (name, created_at) VALUES ('shop', 0)"))
        connection.execute(text("INSERT INTO branches VALUES ('shop', 'master', 'master')"))
        written = '{"source": "Procfile", "web": "serve", "static": null, "release": null, "domains": [], '
        written += '"health_path": null, "health_timeout_seconds": 60.0, "instances": 3}'
        connection.execute(
            text(
                'INSERT INTO releases (app, branch, number, "commit", state, manifest, config, subject, author, '
                "created_at) VALUES ('shop', 'master', 7, :commit, 'live', :manifest, '', '', '', 0)"
            ),
            {"commit": "a" * 40, "manifest": written},
        )
    with opened(tmp_path) as engine, engine.begin() as connection:
        (release,) = releases.not_over(connection)
    assert release.manifest is not None
    assert (release.number, release.tree, release.manifest.counts({})) == (7, 7, {WEB: 3})
    assert release.manifest.processes == {WEB: "serve"}
