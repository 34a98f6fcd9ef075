"""One-offs: a command run once in the tree and the environment of a release, for as long as somebody watches.

Invariants:
    * Nothing of a one-off runs on when whoever watches it has gone away, nor when the platform has stopped.
    * Its output waits for the reader, so that a flood of it needs no memory of ours.
    * All of it carries RUN_MARK in its environment, so that what a killed daemon left is found.
"""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from balancer import logs, processes
from balancer.domain.release import Release
from balancer.errors import InvalidInput, NotFound
from balancer.runner.environment import app_environment
from balancer.runner.pipes import reading, writing
from balancer.runner.workspace import Workspace

log = logs.named("run")
# `BALANCER_RUN=<data directory>:<id>`
RUN_MARK = "BALANCER_RUN"
# What timeout(1) exits with; and as a shell, 128 and the number of the signal.
_TIMED_OUT, _SIGNALLED = 124, 128
_CHUNK_BYTES = 65_536
# 16 chunks, 1 MB: enough that neither side waits for the other without need.
_CHUNKS_WAITING = 16


class OneOffs:
    """Those of one data directory."""

    def __init__(
        self, workspace: Workspace, *, data_dir: Path, config_of: Callable[[int], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._workspace = workspace
        self._data_dir = data_dir
        self._config_of = config_of
        self._running: dict[str, OneOff] = {}

    def kill_all(self) -> None:
        """End every one-off of this data directory, those of a daemon before this one too."""
        killed = processes.kill_marked(RUN_MARK, str(self._data_dir))
        if killed:
            log.warning("run.killed", processes=killed)

    def find(self, number: str) -> "OneOff":
        """Return a one-off that runs. Raises NotFound."""
        if number not in self._running:
            raise NotFound(f"no command with the id {number!r} runs; it may have ended")
        return self._running[number]

    @contextlib.asynccontextmanager
    async def run(
        self, release: Release, command: Sequence[str], *, with_input: bool, timeout_seconds: float | None
    ) -> AsyncIterator["OneOff"]:
        """Run a command while the block lasts. Raises InvalidInput where it cannot be started."""
        number = secrets.token_hex(8)
        mark = f"{self._data_dir}:{number}"
        tree = self._workspace.tree(release)
        environment = app_environment(tree, release, await self._config_of(release.id), {RUN_MARK: mark})
        async with contextlib.AsyncExitStack() as pipes:
            output, output_end = await pipes.enter_async_context(reading())
            errors, errors_end = await pipes.enter_async_context(reading())
            if with_input:
                writer, input_end = await pipes.enter_async_context(writing())
            else:
                writer, input_end = None, os.open(os.devnull, os.O_RDONLY)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=tree,
                    env=environment,
                    stdin=input_end,
                    stdout=output_end,
                    stderr=errors_end,
                    start_new_session=True,
                )
            except (OSError, ValueError) as reason:
                raise InvalidInput(
                    f"{command[0]!r} cannot be run in release {release.number} of {release.app}: {reason}; "
                    "a line for a shell is run by: sh -c '…'"
                ) from None
            finally:
                for end in (output_end, errors_end, input_end):
                    os.close(end)
            one_off = OneOff(number, process, mark, {"stdout": output, "stderr": errors}, writer, timeout_seconds)
            self._running[number] = one_off
            log.info("run.started", app=release.app, release=release.number, pid=process.pid)
            try:
                yield one_off
            finally:
                del self._running[number]
                one_off.end()
                log.info("run.ended", app=release.app, release=release.number, status=one_off.status)


class OneOff:
    """One command that runs."""

    def __init__(
        self,
        number: str,
        process: asyncio.subprocess.Process,
        mark: str,
        outputs: Mapping[str, asyncio.StreamReader],
        writer: asyncio.StreamWriter | None,
        timeout_seconds: float | None,
    ) -> None:
        self.id = number
        self.status: int | None = None
        """What it exited with; None while it runs, and where it was given up."""
        self._process = process
        self._mark = mark
        self._outputs = outputs
        self._writer = writer
        self._timeout_seconds = timeout_seconds

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Give what it writes, as (`stdout` or `stderr`, bytes), until it and what it left behind have ended."""
        chunks: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_CHUNKS_WAITING)
        pumps = [asyncio.ensure_future(_pump(name, reader, chunks)) for name, reader in self._outputs.items()]
        ended = asyncio.ensure_future(self._wait(pumps))
        try:
            while not (ended.done() and chunks.empty()):
                chunk = asyncio.ensure_future(chunks.get())
                await asyncio.wait({chunk, ended}, return_when=asyncio.FIRST_COMPLETED)
                if chunk.done():
                    yield chunk.result()
                else:
                    chunk.cancel()
            ended.result()
        finally:
            for task in (*pumps, ended):
                task.cancel()

    async def feed(self, chunks: AsyncIterator[bytes]) -> None:
        """Write to its standard input, and close that; what it does not want to read is dropped."""
        if self._writer is None:
            return
        with contextlib.suppress(ConnectionError):
            async for chunk in chunks:
                self._writer.write(chunk)
                await self._writer.drain()
        self._writer.close()

    def end(self) -> None:
        """Kill what is left of it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        # In a thread: the whole of /proc is read. Nobody waits for it: who ends a one-off may be cancelled.
        asyncio.get_running_loop().run_in_executor(None, processes.kill_marked, RUN_MARK, self._mark)

    async def _wait(self, pumps: Sequence[asyncio.Future[None]]) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._process.wait()
        except TimeoutError:
            self.end()
            await self._process.wait()
            status = _TIMED_OUT
        # Its end counts, not that of what it left behind, which may hold its output open.
        await asyncio.to_thread(processes.kill_marked, RUN_MARK, self._mark)
        await asyncio.gather(*pumps)
        self.status = status if status >= 0 else _SIGNALLED - status


async def _pump(name: str, reader: asyncio.StreamReader, chunks: "asyncio.Queue[tuple[str, bytes]]") -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        await chunks.put((name, chunk))
