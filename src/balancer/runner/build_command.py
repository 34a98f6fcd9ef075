"""One command of a build: run in a directory, its output told line by line, bounded in time and in what it takes.

Invariants:
    * It ends: at its deadline, or when it is cancelled, it is killed with all it started, also what left its session.
    * Everything of a build carries BUILD_MARK in its environment, so that what a killed daemon left can be found.
    * Where we make control groups, it runs in one of its own, which ends with all that is in it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from balancer import processes
from balancer.crashpoints import CrashPoint, passed
from balancer.errors import BuildFailed
from balancer.runner.bounds import Bounds
from balancer.runner.cgroups import Cgroup
from balancer.runner.excerpt import Excerpt, Tell
from balancer.runner.pipes import reading
from balancer.runner.scopes import Scopes

# `BALANCER_BUILD=<data directory>:<release id>`
BUILD_MARK = "BALANCER_BUILD"
# systemd ends a scope whose memory ran out by SIGTERM, after the kernel has killed one of it; it does not tell us so.
_ENDED = tuple(sign for number in (signal.SIGKILL, signal.SIGTERM) for sign in (-number, 128 + number))
# 1 s for the rest of the output, once everything that could write more of it was killed.
_LAST_WORDS_SECONDS = 1.0
# 10 ms for each 64 kB of what nobody is told: a command that floods its output is slowed down, and not the daemon.
_FLOOD_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCommand:
    """A command, and what is said of it."""

    title: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    """Has BUILD_MARK."""
    timeout_seconds: float
    bounds: Bounds

    async def run(self, tell: Tell) -> None:
        """Run it to its end. Raises BuildFailed."""
        if shutil.which(self.command[0], path=self.environment["PATH"]) is None:
            raise BuildFailed(
                f"{self.title}: {self.command[0]} is not installed on this machine; install it and push again"
            )
        excerpt = Excerpt(tell)
        number = self.environment[BUILD_MARK].rpartition(":")[2]
        async with self.bounds.group(number) as group, reading() as (output, write_end):
            process = await self._start(write_end, group)
            passed(CrashPoint.COMMAND_STARTED)
            relaying = asyncio.ensure_future(_relay(output, excerpt))
            ended = asyncio.ensure_future(process.wait())
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    # The end of the command counts, not that of its output: what it left behind may hold that open.
                    await asyncio.wait({relaying, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if relaying.done():
                        relaying.result()
                    status = await asyncio.shield(ended)
            except TimeoutError:
                raise BuildFailed(f"{self.title} took longer than {self.timeout_seconds:g} s and was stopped") from None
            finally:
                # Whatever happened: nothing of the build runs on.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                processes.kill_marked(BUILD_MARK, self.environment[BUILD_MARK])
                await ended
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_SECONDS):
                        await relaying
                excerpt.end()
            if status:
                lacks_memory = excerpt.lacks_memory or (group is not None and group.lacked_memory)
                raise BuildFailed(self._failure(status, lacks_memory=lacks_memory))

    def _failure(self, status: int, *, lacks_memory: bool) -> str:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
        if not lacks_memory and status in _ENDED and isinstance(self.bounds.groups, Scopes):
            return f"{self.title} {how}: perhaps memory ran out, of which {self.bounds.of_memory} (`build_memory_mb`)"
        if lacks_memory:
            return (
                f"{self.title} {how}: memory ran out, of which {self.bounds.of_memory}; "
                "the setting `build_memory_mb` gives more"
            )
        return f"{self.title} {how}; the lines above say why"

    async def _start(self, write_end: int, group: Cgroup | None) -> asyncio.subprocess.Process:
        """Start it in a session of its own; `write_end` is closed here. Raises BuildFailed."""
        try:
            return await asyncio.create_subprocess_exec(
                *self.bounds.around(self.command, group),
                cwd=self.directory,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except OSError as reason:
            raise BuildFailed(f"{self.title} could not be started: {reason}") from reason
        finally:
            os.close(write_end)


async def _relay(output: asyncio.StreamReader, excerpt: Excerpt) -> None:
    """Tell a process's output."""
    while chunk := await output.read(65_536):
        excerpt.add(chunk)
        if excerpt.is_full:
            await asyncio.sleep(_FLOOD_PAUSE_SECONDS)
