"""The commands of a build run in one tree, within bounds, and nothing of them runs on."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from balancer import processes
from balancer.errors import BuildFailed
from balancer.runner.bounds import Bounds
from balancer.runner.cgroups import Cgroups, _named
from balancer.runner.scopes import Scopes
from pushes import Push, pushed
from waiting import eventually

pytestmark = pytest.mark.anyio
# A build in a control group has a tenth of what everything else on the machine wants.
_DEADLINE_SECONDS = 120


@pytest.fixture
def push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """A push on a machine without network."""
    return pushed(tmp_path, monkeypatch)


def groups_of(data_dir: Path) -> list[Path]:
    """Return the control groups of a data directory."""
    found = Cgroups.find(data_dir)
    return [group for place in found.places.values() for group in place.glob(_named(data_dir, "*"))]


needs_cgroups = pytest.mark.skipif(
    not {"memory", "cpu", "pids"} <= Cgroups.find(Path("/")).places.keys(),
    reason="no control groups of version 1 can be made here",
)


def gone(mark: str) -> Callable[[], bool]:
    """Tell whether no process that was started with BUILD=mark in its environment is left."""
    needle = f"BUILD={mark}".encode()

    def is_gone() -> bool:
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and needle in (entry / "environ").read_bytes().split(b"\0"):
                    return False
            except OSError:
                continue
        return True

    return is_gone


async def test_every_line_is_told_as_it_comes(push: Push) -> None:
    await push.run("echo one; echo two >&2; printf 'no end'")
    assert push.told[0] == "-----> Running the release command: echo one; echo two >&2; printf 'no end'"
    assert push.printed == ["one", "two", "no end"]


async def test_a_line_is_told_before_the_command_has_ended(push: Push) -> None:
    running = asyncio.ensure_future(push.run("echo first; while [ ! -e go ]; do sleep 0.02; done; echo last"))
    await eventually(lambda: push.printed == ["first"], 30)
    (push.tree / "go").touch()
    await running
    assert push.printed == ["first", "last"]


async def test_output_that_is_no_text_or_has_no_end_of_line_is_told_all_the_same(push: Push) -> None:
    await push.run(r"printf '\377\376\n'; head -c 200000 /dev/zero | tr '\0' x; printf '\r\n'")
    assert push.printed[0] == "��"
    assert "".join(push.printed[1:]) == "x" * 200_000


async def test_a_command_runs_in_its_tree_with_the_config_of_its_release(push: Push) -> None:
    await push.run('pwd; echo "$HOME $GREETING"; touch made', GREETING="hello there")
    assert push.printed == [str(push.tree), f"{push.tree} hello there"]
    assert (push.tree / "made").exists()


async def test_a_command_that_asks_a_person_gets_no_answer_and_does_not_hang(push: Push) -> None:
    await push.run("read answer || echo nobody")
    assert push.printed == ["nobody"]


async def test_a_command_that_fails_fails_the_build_with_its_status(push: Push) -> None:
    with pytest.raises(BuildFailed, match="the release command failed with status 3; the lines above say why"):
        await push.run("echo because; exit 3")
    assert push.printed == ["because"]


async def test_a_command_that_takes_too_long_is_stopped_with_all_it_started(push: Push) -> None:
    with pytest.raises(BuildFailed, match=r"took longer than 0\.3 s and was stopped"):
        await push.run("sleep 100 & sleep 100", timeout_seconds=0.3, BUILD="slow")
    await eventually(gone("slow"), 30)


async def test_a_command_that_ignores_the_end_is_killed(push: Push) -> None:
    with pytest.raises(BuildFailed, match="was stopped"):
        await push.run("trap '' TERM INT HUP; while :; do sleep 1; done", timeout_seconds=0.3, BUILD="deaf")
    await eventually(gone("deaf"), 30)


async def test_when_the_deploy_is_cancelled_nothing_of_the_build_runs_on(push: Push) -> None:
    running = asyncio.ensure_future(push.run("sleep 100 & echo $!; sleep 100", BUILD="cancelled"))
    await eventually(lambda: push.printed, 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(gone("cancelled"), 30)


async def test_what_a_command_leaves_in_the_background_neither_holds_the_build_up_nor_stays(push: Push) -> None:
    await push.run("sleep 100 & echo done", timeout_seconds=60, BUILD="left")
    assert push.printed == ["done"]
    await eventually(gone("left"), 30)


async def test_a_command_that_allocates_without_end_is_stopped_and_the_message_says_so(push: Push) -> None:
    push.bounds = Bounds(memory_mb=200)
    with pytest.raises(BuildFailed, match="memory ran out, of which a process of a build may have 200 MB; the setting"):
        await push.run("exec python3 -c 'held = []\nwhile True: held.append(bytes(1000000))'")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_node_that_allocates_without_end_is_stopped_and_the_message_says_so(push: Push) -> None:
    push.bounds = Bounds(memory_mb=300)
    with pytest.raises(BuildFailed, match="memory ran out, of which a process of a build may have 300 MB; the setting"):
        await push.run("exec node -e 'const held = []; for (;;) held.push(new Array(100000).fill(1.5))'")


@needs_cgroups
async def test_the_processes_of_a_build_have_no_more_memory_together_than_one_may_have(push: Push) -> None:
    push.bounds = Bounds.find(push.directory, memory_mb=300)
    hold = "held = bytes([1]) * 150_000_000; open(__import__('sys').argv[1], 'w'); __import__('time').sleep(1000)"
    one = '(python3 -c "$HOLD" held$n || touch died) &'
    three = (
        f"for n in 1 2 3; do {one} done; until [ -e died ] || [ -e held1 -a -e held2 -a -e held3 ]; do sleep 0.1; done"
    )
    with pytest.raises(BuildFailed, match="memory ran out, of which a build may have 300 MB; the setting"):
        await push.run(f"{three}; [ ! -e died ] || exit 9", timeout_seconds=_DEADLINE_SECONDS, HOLD=hold)
    assert groups_of(push.directory) == []


@pytest.mark.parametrize("end", ["kill -KILL $$", "kill -TERM $$", "exit 137"])
async def test_where_systemd_bounds_a_build_a_signal_is_taken_for_a_lack_of_memory(
    push: Push, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a systemd-run that bounds nothing: what a real one does is in test_scopes.py."""
    directory = push.directory / "bin"
    directory.mkdir()
    (directory / "systemd-run").write_text('#!/bin/sh\nuntil [ "$1" = -- ]; do shift; done; shift; exec "$@"\n')
    (directory / "systemd-run").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    push.bounds = Bounds(memory_mb=300, groups=Scopes(None))
    with pytest.raises(BuildFailed, match=r"perhaps memory ran out, of which a build may have 300 MB"):
        await push.run(end)


@needs_cgroups
async def test_a_build_that_forks_without_end_is_held(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balancer.runner.bounds._TASKS", 20)
    push.bounds = Bounds.find(push.directory, memory_mb=2048)
    await push.run(
        "(for n in $(seq 40); do sleep 100 & done); cat /proc/self/cgroup; exit 0", timeout_seconds=_DEADLINE_SECONDS
    )
    assert any(re.search(r":pids:.*/balancer-", line) for line in push.printed)
    assert any("fork" in line for line in push.printed), push.printed
    assert groups_of(push.directory) == []


@needs_cgroups
async def test_what_emptied_its_environment_and_left_the_session_ends_with_the_build(push: Push) -> None:
    push.bounds = Bounds.find(push.directory, memory_mb=2048)
    await push.run(
        "env -i setsid sleep 1000 & echo $!; until [ -e /proc/$!/environ ]; do :; done",
        timeout_seconds=_DEADLINE_SECONDS,
    )
    pid = int(push.printed[0])
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), 30)
    assert groups_of(push.directory) == []


async def test_a_command_gets_the_processor_and_the_disk_that_nothing_else_wants(push: Push) -> None:
    await push.run("cut -d' ' -f19 /proc/self/stat; ionice -p $$")
    assert push.printed == ["10", "idle"]


async def test_a_flood_is_told_in_part_and_stays_a_flood_to_nobody(push: Push) -> None:
    with pytest.raises(BuildFailed, match="took longer than 4 s"):
        await push.run("yes", timeout_seconds=4)
    assert push.printed[:2] == ["y", "y"]
    assert len(push.printed) < 11_000
    assert any("lines left out" in line for line in push.printed)


async def test_what_fled_from_the_build_neither_holds_it_up_nor_stays(push: Push) -> None:
    await push.run("setsid sh -c 'setsid sleep 100; :' 2>/dev/null & echo done", timeout_seconds=60, BUILD="fled")
    assert push.printed == ["done"]
    await eventually(gone("fled"), 30)


async def test_what_a_build_starts_carries_its_mark_which_is_unlike_that_of_another(push: Push) -> None:
    await push.run('echo "$BALANCER_BUILD"')
    assert push.printed == [f"{push.directory}:{push.release.id}"]


async def test_whoever_is_told_may_fail_and_the_build_ends(push: Push, tmp_path: Path) -> None:
    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    command = "echo one; sleep 100"
    told = iter([push.told.append, full])
    with pytest.raises(OSError, match="No space left"):
        await push.builder(60).run("it", command, push.release, {"BUILD": "full"}, lambda line: next(told)(line))
    await eventually(gone("full"), 30)


async def test_the_mark_of_these_tests_finds_a_process_that_is_there() -> None:
    """Else `gone` would be true of everything."""
    process = await asyncio.create_subprocess_exec("sleep", "100", env={**os.environ, "BUILD": "here"})
    try:
        await eventually(lambda: not gone("here")(), 30)
        assert processes.identify(process.pid)
    finally:
        process.kill()
        await process.wait()
    assert gone("here")()
