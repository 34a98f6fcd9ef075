"""The git command as we run it: without the user's configuration, and never without an end."""

import asyncio
from pathlib import Path

import pytest

from balancer.runner import git_command
from waiting import eventually

pytestmark = pytest.mark.anyio


def waits(marker: Path) -> tuple[str, ...]:
    """Return a git command that starts a child, and waits for it without end."""
    return ("-c", f"alias.wait=!echo $$ > {marker}; sleep 100", "wait")


async def gone(marker: Path) -> bool:
    return not Path(f"/proc/{marker.read_text().strip()}").exists()


async def test_it_never_asks_at_a_terminal_and_fetches_from_nowhere_on_this_machine() -> None:
    assert git_command.environment()["GIT_TERMINAL_PROMPT"] == "0"
    assert git_command.environment()["GIT_ALLOW_PROTOCOL"] == "https:http:ssh"
    assert git_command.environment({"PATH_INFO": "/x"})["PATH_INFO"] == "/x"


async def test_it_ends_with_its_children_at_its_deadline(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    status, said = await git_command.run(*waits(marker), directory=tmp_path, timeout_seconds=3)
    assert status != 0
    assert "took longer than 3 s and was stopped" in said
    await eventually(lambda: gone(marker), 30)


async def test_it_ends_with_its_children_when_nobody_wants_it_any_more(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    running = asyncio.ensure_future(git_command.run(*waits(marker), directory=tmp_path))
    await eventually(lambda: marker.exists() and marker.read_text(), 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: gone(marker), 30)
