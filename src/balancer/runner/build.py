"""Builds: what a tree needs is installed inside it, by the tools of its ecosystem.

Invariants:
    * A build touches its own directory and the package caches only, never a tree that serves.
    * It ends: at its deadline, or when it is cancelled, its whole process group is killed.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from balancer.domain.app import Manifest
from balancer.errors import BuildFailed
from balancer.runner.environment import app_environment
from balancer.runner.manifest import read_manifest

Tell = Callable[[str], None]
# 1 s for the rest of the output, once everything that could write more of it was killed.
_LAST_WORDS_SECONDS = 1.0


class Builder:
    """Builds trees, one directory each."""

    def __init__(self, *, caches: Path, timeout_seconds: float) -> None:
        self._caches = caches
        self._timeout_seconds = timeout_seconds

    def manifest(self, directory: Path) -> Manifest:
        """Return how the tree is to be run. Raises InvalidManifest."""
        return read_manifest(directory)

    async def build(self, directory: Path, config: Mapping[str, str], tell: Tell) -> None:
        """Install what the tree needs, inside it. Raises BuildFailed."""
        for title, command in _steps(directory):
            tell(f"-----> {title}")
            facts = {"UV_CACHE_DIR": str(self._caches / "uv"), "npm_config_cache": str(self._caches / "npm")}
            # npm leaves development dependencies out where NODE_ENV is production, and a build needs them.
            environment = app_environment(directory, config, {**facts, "NODE_ENV": "development"})
            await self._run(title, command, directory, environment, tell)

    async def run_release_command(self, command: str, directory: Path, config: Mapping[str, str], tell: Tell) -> None:
        """Run the release command of a manifest. Raises BuildFailed."""
        tell(f"-----> Running the release command: {command}")
        environment = app_environment(directory, config, {})
        await self._run("the release command", ["/bin/sh", "-c", command], directory, environment, tell)

    async def _run(
        self, title: str, command: Sequence[str], directory: Path, environment: Mapping[str, str], tell: Tell
    ) -> None:
        async with _pipe() as (output, write_end):
            process = await _start(title, command, directory, environment, write_end)
            relaying = asyncio.ensure_future(_relay(output, tell))
            ended = asyncio.ensure_future(process.wait())
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    # The end of the command counts, not that of its output: what it left behind may hold that open.
                    await asyncio.wait({relaying, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if relaying.done():
                        relaying.result()
                    status = await asyncio.shield(ended)
            except TimeoutError:
                raise BuildFailed(f"{title} took longer than {self._timeout_seconds:g} s and was stopped") from None
            finally:
                # Whatever happened: nothing of the build runs on.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await ended
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_SECONDS):
                        await relaying
        if status:
            raise BuildFailed(f"{title} failed with status {status}; the lines above say why")


async def _start(
    title: str, command: Sequence[str], directory: Path, environment: Mapping[str, str], write_end: int
) -> asyncio.subprocess.Process:
    """Start a command in a session of its own; `write_end` is closed here. Raises BuildFailed."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise BuildFailed(
            f"{title}: {command[0]} is not installed on this machine; install it and push again"
        ) from None
    finally:
        os.close(write_end)


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """Give a reader, and what a process writes to; ours, because asyncio's own is waited for as its process is."""
    read_end, write_end = os.pipe()
    output = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        yield output, write_end
    finally:
        transport.close()


async def _relay(output: asyncio.StreamReader, tell: Tell) -> None:
    """Tell every line of a process's output, also those that never end."""
    rest = b""
    while chunk := await output.read(65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            tell("       " + line.decode(errors="replace").rstrip("\r"))
        if len(rest) > 65_536:
            tell("       " + rest.decode(errors="replace"))
            rest = b""
    if rest:
        tell("       " + rest.decode(errors="replace"))


def _steps(directory: Path) -> list[tuple[str, list[str]]]:
    """Return what to run, with a title for each."""
    steps: list[tuple[str, list[str]]] = []
    if (directory / "requirements.txt").is_file():
        uv = str(Path(sys.executable).parent / "uv")
        steps.append(("Making a virtual environment", [uv, "venv", "--quiet", "--no-project", ".venv"]))
        install = [uv, "pip", "install", "--python", ".venv", "--requirement", "requirements.txt"]
        steps.append(("Installing requirements.txt", install))
    if (directory / "package-lock.json").is_file():
        steps.append(("Installing package-lock.json", ["npm", "ci", "--no-audit", "--no-fund"]))
    elif _has_dependencies(directory / "package.json"):
        steps.append(("Installing package.json", ["npm", "install", "--no-audit", "--no-fund"]))
    return steps


def _has_dependencies(package: Path) -> bool:
    try:
        return bool(json.loads(package.read_text()).get("dependencies"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
