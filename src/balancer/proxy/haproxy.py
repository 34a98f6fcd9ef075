"""HAProxy as our data plane: started, adopted, reloaded, driven.

Invariants:
    * What runs is written down first: a restart or a reload never goes back in time.
    * A configuration that HAProxy would refuse is never handed to the running one.
    * One change at a time, and no command between a rendering and its being in force.

The daemon uses it as the Proxy of services; `life.py` keeps the process alive.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from balancer import logs
from balancer.domain.routing import RouteTable
from balancer.errors import ProxyFailed
from balancer.proxy import runtime
from balancer.proxy.render import Rendering, render
from balancer.proxy.state import changes

log = logs.named("proxy")
CHECK_PREFIX = ".check-"
# 10 s: a reload of 1,000 apps takes well under one.
_READY_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.01


class HAProxy:
    """Drives the HAProxy whose directory this is."""

    def __init__(self, directory: Path, *, executable: str, maxconn: int) -> None:
        self.directory = directory
        self.executable = executable
        self._maxconn = maxconn
        self._changing = asyncio.Lock()
        """Held from a rendering until it is in force."""
        self._written: Rendering | None = None
        self.inherited: tuple[Mapping[str, str], Sequence[int]] = ({}, ())
        """Environment and file descriptors that the configuration refers to."""

    @property
    def admin(self) -> Path:
        """The socket of the present worker."""
        return self.directory / "admin.sock"

    @property
    def master(self) -> Path:
        """The socket of the master process."""
        return self.directory / "master.sock"

    async def apply(self, table: RouteTable) -> None:
        """Make HAProxy do what `table` says; when this returns, it does. Raises ProxyFailed."""
        async with self._changing:
            wanted = render(table, maxconn=self._maxconn)
            await self._write(wanted)
            await self._follow(wanted)

    async def prepare(self, table: RouteTable) -> None:
        """Write what `table` says, for a HAProxy that is yet to start. Raises ProxyFailed."""
        async with self._changing:
            await self._write(render(table, maxconn=self._maxconn))

    async def wait_until_ready(self) -> None:
        """Return when the present worker runs what was written last. Raises ProxyFailed."""
        assert self._written is not None, "nothing was written"
        await self._wait_for(self._written.skeleton)

    async def dropped_lines(self) -> int:
        """Return how many lines of the edge log could not be written, a full disk say. Raises ProxyFailed."""
        return await runtime.dropped_lines(self.admin)

    async def busy(self, servers: Sequence[str]) -> frozenset[str]:
        """Return those of `servers` that may have requests in flight.

        While an old worker lives all of them may: it knows nothing of the drain, and its idle connections can still
        bring one more request.
        """
        if not servers:
            return frozenset()
        _, old = await runtime.workers(self.master)
        return frozenset(servers) if old else frozenset(servers) & await runtime.busy_servers(self.admin)

    async def _follow(self, wanted: Rendering) -> None:
        now = await runtime.observe(self.admin, tuple(wanted.maps))
        commands = changes(now, wanted)
        if commands is None:
            await self._reload(wanted)
            now = await runtime.observe(self.admin, tuple(wanted.maps))
            commands = changes(now, wanted)
            if commands is None:
                raise ProxyFailed("HAProxy was reloaded and still runs the configuration before")
        for command in commands:
            await runtime.execute(self.admin, command)
        if commands:
            log.info("proxy.changed", commands=len(commands))

    async def _reload(self, wanted: Rendering) -> None:
        await runtime.ask(self.master, "reload")
        try:
            await self._wait_for(wanted.skeleton)
        except ProxyFailed as reason:
            raise ProxyFailed(
                f"HAProxy did not take the new configuration; it runs the one before: {reason}"
            ) from reason
        log.info("proxy.reloaded", skeleton=wanted.skeleton)

    async def _wait_for(self, skeleton: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                while True:
                    with contextlib.suppress(ProxyFailed):
                        if await runtime.skeleton(self.admin) == skeleton:
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        raise ProxyFailed(
            f"HAProxy was not ready within {_READY_TIMEOUT_SECONDS:g} s; "
            f"its own words are in {self.directory / 'haproxy.log'}"
        )

    async def _write(self, wanted: Rendering) -> None:
        """Put the files of a rendering in place, those that changed; a new skeleton is checked beside them first."""
        before = self._written
        if before is None or before.skeleton != wanted.skeleton:
            with tempfile.TemporaryDirectory(dir=self.directory.parent, prefix=CHECK_PREFIX) as name:
                for file, text in wanted.files().items():
                    _write_whole(Path(name) / file, text)
                await self._check(Path(name))
        old = before.files() if before else {}
        for file, text in wanted.files().items():
            if old.get(file) != text:
                _write_whole(self.directory / file, text)
        self._written = wanted

    async def _check(self, directory: Path) -> None:
        environment, keep = self.inherited
        process = await asyncio.create_subprocess_exec(
            self.executable,
            *("-c", "-f", "haproxy.cfg"),
            cwd=directory,
            env={**os.environ, **environment},
            pass_fds=tuple(keep),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise ProxyFailed(f"HAProxy refuses the configuration; nothing was changed: {output.decode().strip()}")


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that at every moment either the old or the new text is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
