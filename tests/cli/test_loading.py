"""What a command loads, so that it is quick."""

import subprocess
import sys

import pytest
from typer.main import get_command

from balancer.cli import gathered

# What is heavy, and belongs to the processes that go on.
HEAVY = ("alembic", "asyncio", "balancer.services", "balancer.store", "duckdb", "fastapi", "plotly", "sqlalchemy")


def words(word: str = "") -> list[str]:
    return list(getattr(get_command(gathered(word)), "commands", {}))


def loaded(*arguments: str) -> set[str]:
    """Run a command in a process of its own, and return what that has loaded."""
    running = "import sys; from balancer.cli import main\n"
    running += "try: main()\nfinally: print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", running, *arguments], capture_output=True, text=True, check=False)
    return set(done.stdout.rpartition("loaded ")[2].split())


@pytest.mark.parametrize("word", words())
def test_a_command_that_is_typed_is_the_only_one_that_is_gathered(word: str) -> None:
    assert words(word) == [word]


@pytest.mark.parametrize("word", ["", "--help", "stat", "--url"])
def test_whatever_is_no_command_gets_all_of_them(word: str) -> None:
    assert {"apps", "status", "ledger", "split", "open"} <= set(words(word))
    assert len(words(word)) == len(words())


@pytest.mark.parametrize("word", ["status", "ps", "apps", "events"])
def test_a_command_loads_nothing_that_it_does_not_need(word: str) -> None:
    found = loaded(word, "--help")
    assert "typer" in found
    assert [name for name in HEAVY if name in found] == []


def test_the_daemon_has_no_engine_of_the_ledger_in_it() -> None:
    printing = "import balancer.daemon, sys; print('duckdb' in sys.modules, 'alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", printing], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
