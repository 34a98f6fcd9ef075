"""Builds run the tools of an ecosystem inside one tree, and nothing of them runs on."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from balancer import processes
from balancer.domain.manifest import Manifest, Source
from balancer.errors import BuildFailed, InvalidManifest
from balancer.runner.bounds import Bounds
from balancer.runner.build import Builder
from balancer.runner.cgroups import Cgroups, _named
from balancer.runner.scopes import Scopes
from balancer.runner.workspace import Workspace
from values import release
from waiting import eventually

pytestmark = pytest.mark.anyio


class Push:
    """A tree, the builder, and what the person who pushed was told."""

    def __init__(self, directory: Path) -> None:
        self.workspace = Workspace(directory / "releases")
        self.release = release(7)
        self.tree = self.workspace.create(self.release)
        self.directory = directory
        self.caches = directory / "cache"
        self.bounds = Bounds(memory_mb=2048)
        self.told: list[str] = []

    async def build(self, **config: str) -> None:
        await self.builder(60).build(self.release, config, self.told.append)

    async def run(self, command: str, *, timeout_seconds: float = 20, **config: str) -> None:
        """Run a release command: whatever the shell can do."""
        builder = self.builder(timeout_seconds)
        await builder.run("the release command", command, self.release, config, self.told.append)

    @property
    def printed(self) -> list[str]:
        """What the command itself printed."""
        return [line.removeprefix("       ") for line in self.told if not line.startswith("----->")]

    def builder(self, timeout_seconds: float) -> Builder:
        """Return the builder."""
        return Builder(
            self.workspace,
            data_dir=self.directory,
            timeout_seconds=timeout_seconds,
            bounds=self.bounds,
            at_once=1,
        )


@pytest.fixture
def push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """A push on a machine without network."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("npm_config_offline", "true")
    return Push(tmp_path)


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
    await eventually(lambda: push.printed == ["first"], 10)
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
    await eventually(gone("slow"), 5)


async def test_a_command_that_ignores_the_end_is_killed(push: Push) -> None:
    with pytest.raises(BuildFailed, match="was stopped"):
        await push.run("trap '' TERM INT HUP; while :; do sleep 1; done", timeout_seconds=0.3, BUILD="deaf")
    await eventually(gone("deaf"), 5)


async def test_when_the_deploy_is_cancelled_nothing_of_the_build_runs_on(push: Push) -> None:
    running = asyncio.ensure_future(push.run("sleep 100 & echo $!; sleep 100", BUILD="cancelled"))
    await eventually(lambda: push.printed, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(gone("cancelled"), 5)


async def test_what_a_command_leaves_in_the_background_neither_holds_the_build_up_nor_stays(push: Push) -> None:
    await push.run("sleep 100 & echo done", timeout_seconds=5, BUILD="left")
    assert push.printed == ["done"]
    await eventually(gone("left"), 5)


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
    one = "exec python3 -c 'import time; held = bytes([1]) * 150_000_000; print(len(held)); time.sleep(3)'"
    three = 'for n in 1 2 3; do sh -c "$ONE" & pids="$pids $!"; done; for pid in $pids; do wait $pid || exit 9; done'
    with pytest.raises(BuildFailed, match="memory ran out, of which a build may have 300 MB; the setting"):
        await push.run(three, ONE=one)
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
    await push.run("(for n in $(seq 40); do sleep 100 & done); cat /proc/self/cgroup; exit 0")
    assert any(re.search(r":pids:.*/balancer-", line) for line in push.printed)
    assert any("fork" in line for line in push.printed), push.printed
    assert groups_of(push.directory) == []


@needs_cgroups
async def test_what_emptied_its_environment_and_left_the_session_ends_with_the_build(push: Push) -> None:
    push.bounds = Bounds.find(push.directory, memory_mb=2048)
    await push.run("env -i setsid sleep 1000 & echo $!; until [ -e /proc/$!/environ ]; do :; done")
    pid = int(push.printed[0])
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), 5)
    assert groups_of(push.directory) == []


async def test_a_command_gets_the_processor_and_the_disk_that_nothing_else_wants(push: Push) -> None:
    await push.run("cut -d' ' -f19 /proc/self/stat; ionice -p $$")
    assert push.printed == ["10", "idle"]


async def test_a_flood_is_told_in_part_and_stays_a_flood_to_nobody(push: Push) -> None:
    with pytest.raises(BuildFailed, match="took longer than 1 s"):
        await push.run("yes", timeout_seconds=1)
    assert push.printed[:2] == ["y", "y"]
    assert len(push.printed) < 11_000
    assert any("lines left out" in line for line in push.printed)


async def test_builds_beyond_so_many_wait_and_are_told(push: Push) -> None:
    builder, releases = push.builder(20), [release(8), release(9)]
    for each in releases:
        (push.workspace.create(each) / "requirements.txt").write_text("")
    await asyncio.gather(*(builder.build(each, {}, push.told.append) for each in releases))
    assert push.told.count("-----> Other builds are under way; waiting for one of them to end") == 1


async def test_a_tree_that_needs_nothing_is_built_at_once(push: Push) -> None:
    (push.tree / "Procfile").write_text("web: ./serve\n")
    await push.build()
    assert push.told == []


@pytest.mark.parametrize("package", ['{"main": "a.js"}', '{"dependencies": {}}'])
async def test_a_package_without_dependencies_needs_nothing(package: str, push: Push) -> None:
    (push.tree / "package.json").write_text(package)
    await push.build()
    assert push.told == []


@pytest.mark.parametrize(
    ("file", "text"),
    [(".python-version", "# ours\n2.4\n"), ("pyproject.toml", '[project]\nname = "x"\nrequires-python = "==2.4"\n')],
)
async def test_a_version_of_python_that_the_machine_lacks_is_named_with_those_it_has(
    file: str, text: str, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    (push.tree / "requirements.txt").touch()
    (push.tree / file).write_text(text)
    with pytest.raises(BuildFailed) as failed:
        await push.build()
    assert f"{file}" in str(failed.value)
    assert "2.4, which this machine does not have (it has 3." in str(failed.value)


async def test_the_version_of_python_that_is_asked_for_is_taken(push: Push) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    (push.tree / "requirements.txt").touch()
    (push.tree / ".python-version").write_text(f"{version}\n")
    await push.build()
    push.told.clear()
    await push.run("python --version")
    assert push.printed[0].startswith(f"Python {version}.")


@pytest.mark.parametrize("lock", [True, False])
async def test_a_project_is_installed_with_its_lock_or_without(lock: bool, push: Push) -> None:
    (push.tree / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n')
    if lock:
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "lock", "--quiet", "--offline"], cwd=push.tree, check=True)
    await push.build()
    assert push.told[0] == f"-----> Installing {'uv.lock' if lock else 'pyproject.toml'}"
    assert (push.tree / ".venv" / "bin" / "python").exists()


async def test_a_pyproject_that_is_only_settings_needs_nothing(push: Push) -> None:
    (push.tree / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    await push.build()
    assert push.told == []


async def test_a_script_and_the_command_of_the_manifest_end_the_build(push: Push) -> None:
    push.release = release(7, manifest=Manifest(source=Source.MANIFEST, static="out", build="mv made out; echo last"))
    script = push.tree / "bin" / "build"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nmkdir made; echo script\n")
    script.chmod(0o755)
    await push.build()
    assert push.told == ["-----> Running bin/build", "       script", "-----> Running the build command", "       last"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_a_build_script_of_a_package_is_run(push: Push) -> None:
    (push.tree / "package.json").write_text('{"scripts": {"build": "echo built > out"}}')
    await push.build()
    assert (push.tree / "out").read_text() == "built\n"


async def test_requirements_are_installed_inside_the_tree(push: Push) -> None:
    with zipfile.ZipFile(push.tree / "hello-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hello.py", "GREETING = 'hello'\n")
        wheel.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hello-1.0.dist-info/RECORD", "hello.py,,\nhello-1.0.dist-info/RECORD,,\n")
    (push.tree / "requirements.txt").write_text("./hello-1.0-py3-none-any.whl\n")
    await push.build()
    assert [line for line in push.told if line.startswith("-")] == [
        "-----> Making a virtual environment",
        "-----> Installing requirements.txt",
    ]
    push.told.clear()
    await push.run("python -c 'import hello; print(hello.GREETING)'; command -v python")
    assert push.printed == ["hello", str(push.tree / ".venv" / "bin" / "python")]
    assert (push.caches / "uv").is_dir()


async def test_requirements_that_cannot_be_had_fail_the_build(push: Push) -> None:
    (push.tree / "requirements.txt").write_text("./not-there-1.0-py3-none-any.whl\n")
    with pytest.raises(BuildFailed, match=r"Installing requirements\.txt failed with status"):
        await push.build()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_dependencies_of_a_package_are_installed_inside_the_tree(push: Push) -> None:
    (push.tree / "hello").mkdir()
    (push.tree / "hello" / "package.json").write_text('{"name": "hello", "version": "1.0.0", "main": "index.js"}')
    (push.tree / "hello" / "index.js").write_text("module.exports = 'hello'\n")
    (push.tree / "package.json").write_text('{"main": "a.js", "dependencies": {"hello": "file:./hello"}}')
    await push.build(NODE_ENV="production")
    assert push.told[0] == "-----> Installing package.json"
    push.told.clear()
    await push.run("node -p \"require('hello')\"")
    assert push.printed == ["hello"]


async def test_what_fled_from_the_build_neither_holds_it_up_nor_stays(push: Push) -> None:
    await push.run("setsid sh -c 'setsid sleep 100; :' 2>/dev/null & echo done", timeout_seconds=5, BUILD="fled")
    assert push.printed == ["done"]
    await eventually(gone("fled"), 5)


async def test_what_a_build_starts_carries_its_mark_which_is_unlike_that_of_another(push: Push) -> None:
    await push.run('echo "$BALANCER_BUILD"')
    assert push.printed == [f"{push.directory}:{push.release.id}"]


async def test_whoever_is_told_may_fail_and_the_build_ends(push: Push, tmp_path: Path) -> None:
    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    command = "echo one; sleep 100"
    told = iter([push.told.append, full])
    with pytest.raises(OSError, match="No space left"):
        await push.builder(5).run("it", command, push.release, {"BUILD": "full"}, lambda line: next(told)(line))
    await eventually(gone("full"), 5)


async def test_a_tool_that_the_machine_lacks_is_named(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    (push.tree / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", str(push.tree))
    with pytest.raises(BuildFailed, match=r"Installing package-lock\.json: npm is not installed on this machine"):
        await push.build()


@pytest.mark.parametrize("static", ["public", "a-file", "out", "loop"])
async def test_a_directory_to_serve_that_the_built_tree_lacks_or_that_leads_out_is_refused(
    static: str, push: Push
) -> None:
    push.release = release(7, manifest=Manifest(source=Source.MANIFEST, static=static))
    (push.tree / "a-file").touch()
    (push.tree / "out").symlink_to("..")
    (push.tree / "loop").symlink_to("loop")
    with pytest.raises(InvalidManifest, match=f"the directory '{static}' is to be served, and"):
        await push.build()


async def test_the_manifest_is_that_of_the_tree(push: Push) -> None:
    builder = push.builder(1)
    with pytest.raises(InvalidManifest, match="nothing here says"):
        builder.manifest(push.tree)
    (push.tree / "index.html").touch()
    assert builder.manifest(push.tree).source is Source.STATIC


async def test_the_mark_of_these_tests_finds_a_process_that_is_there() -> None:
    """Else `gone` would be true of everything."""
    process = await asyncio.create_subprocess_exec("sleep", "100", env={**os.environ, "BUILD": "here"})
    try:
        await eventually(lambda: not gone("here")(), 5)
        assert processes.identify(process.pid)
    finally:
        process.kill()
        await process.wait()
    assert gone("here")()
