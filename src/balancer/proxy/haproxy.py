"""HAProxy as our data plane: started, adopted, reloaded, driven.

Invariants:
    * What runs is written down first: a restart or a reload never goes back in time.
    * What a restart or a reload reads is what was rendered last, whatever has become of the files since.
    * A configuration that HAProxy would refuse is never handed to the running one.
    * One change at a time, and no command between a rendering and its being in force.

The daemon uses it as the Proxy of services; `life.py` keeps the process alive.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.hard_stop import Answers
from balancer.domain.routing import RouteTable
from balancer.domain.traffic import Traffic
from balancer.errors import HostUnfit, ProxyFailed
from balancer.proxy import installed, runtime
from balancer.proxy.render import Renderer, Rendering
from balancer.proxy.state import changes

log = logs.named("proxy")
CHECK_PREFIX = ".check-"
_FRESH = ".new"
# 10 s: a reload of 1,000 apps takes well under one.
_READY_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.01


class HAProxy:
    """Drives the HAProxy whose directory this is."""

    def __init__(
        self,
        directory: Path,
        *,
        executable: str,
        maxconn: int,
        trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    ) -> None:
        self.directory = directory
        self.executable = executable
        self._renderer = Renderer(maxconn=maxconn, trusted_proxies=trusted_proxies)
        self._changing = asyncio.Lock()
        """Held from a rendering until it is in force."""
        self._written: Rendering | None = None
        self._texts: Mapping[str, bytes] = {}
        """What is in the files of `_written`, by their names."""
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
            wanted = self._renderer.render(table)
            await self._write(wanted)
            passed(CrashPoint.FILES_WRITTEN)
            await self._follow(wanted)

    async def prepare(self, table: RouteTable) -> None:
        """Write what `table` says, for a HAProxy that is yet to start. Raises ProxyFailed."""
        async with self._changing:
            await self._write(self._renderer.render(table))

    async def wait_until_ready(self) -> None:
        """Return when the present worker runs what was written last. Raises ProxyFailed."""
        assert self._written is not None, "nothing was written"
        await self._wait_for(self._written.skeleton)

    def restore(self) -> None:
        """Put the files that were rendered last in place again, where they are others by now. Raises ProxyFailed.

        What is being changed just now is not waited for: a HAProxy that has died is to be back at once.
        """
        assert self._written is not None, "nothing was written"
        self._put(self._written)

    async def worker(self) -> runtime.Worker:
        """Return what the present worker says of itself. Raises ProxyFailed."""
        return await runtime.worker(self.admin)

    async def renew(self) -> runtime.Worker:
        """Let HAProxy execute itself again, as it is installed now; return the new worker, once it serves.

        The old worker finishes what it has. Raises ProxyFailed: then the one before serves on.
        """
        async with self._changing:
            wanted = self._written
            assert wanted is not None, "nothing was written"
            await self._check(wanted)
            self._put(wanted)
            before = await self.worker()
            await self._reload(wanted, other_than=before.pid)
            await self._follow(wanted)
            now = await self.worker()
        try:
            version = await asyncio.to_thread(installed.version_of, self.executable)
        except HostUnfit as reason:
            raise ProxyFailed(str(reason)) from reason
        if now.version != version:
            raise ProxyFailed(
                f"HAProxy {now.version} runs on: it was started from another file than {self.executable}, which is "
                f"{version}; SIGTERM to its master lets it be started from there, and connections wait meanwhile"
            )
        log.info("proxy.renewed", before=before.version, after=now.version, worker=now.pid)
        return now

    async def traffic(self) -> Traffic:
        """Return what goes on at the instances, also in workers of before a reload. Raises ProxyFailed."""
        return await runtime.traffic(self.master)

    async def answers(self) -> dict[str, Answers]:
        """Return what each backend has answered since the present worker began. Raises ProxyFailed."""
        return await runtime.answers(self.admin)

    async def _follow(self, wanted: Rendering) -> None:
        if await runtime.skeleton(self.admin) != wanted.skeleton:
            await self._reload(wanted)
            passed(CrashPoint.PROXY_RELOADED)
        commands = changes(await runtime.observe(self.admin, tuple(wanted.maps)), wanted)
        if commands is None:
            raise ProxyFailed("HAProxy was reloaded and still runs the configuration before")
        for command in commands:
            await runtime.execute(self.admin, command)
            passed(CrashPoint.PROXY_CHANGED_IN_PART)
        passed(CrashPoint.PROXY_FOLLOWED)
        if commands:
            log.info("proxy.changed", commands=len(commands))

    async def _reload(self, wanted: Rendering, other_than: int | None = None) -> None:
        await runtime.ask(self.master, "reload")
        try:
            await self._wait_for(wanted.skeleton, other_than)
        except ProxyFailed as reason:
            raise ProxyFailed(
                f"HAProxy did not take the new configuration; it runs the one before: {reason}"
            ) from reason
        log.info("proxy.reloaded", skeleton=wanted.skeleton)

    async def _wait_for(self, skeleton: str, other_than: int | None = None) -> None:
        """Return when a worker with this skeleton, and with another pid than `other_than`, runs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                while True:
                    with contextlib.suppress(ProxyFailed):
                        loaded = await runtime.skeleton(self.admin) == skeleton
                        if loaded and (await self.worker()).pid != other_than:
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        raise ProxyFailed(
            f"HAProxy was not ready within {_READY_TIMEOUT_SECONDS:g} s; "
            f"its own words are in {self.directory / 'haproxy.log'}"
        )

    async def _write(self, wanted: Rendering) -> None:
        """Put the files of a rendering in place; a new skeleton is checked beside them first."""
        before = self._written
        if before is None or before.skeleton != wanted.skeleton:
            await self._check(wanted)
        self._put(wanted)

    def _put(self, wanted: Rendering) -> None:
        """Write those files that are others on the disk, by us or by somebody else; all or none. Raises ProxyFailed.

        Nothing forces them onto the disk: who starts HAProxy compares them first, whatever has become of them.
        """
        before = self._texts
        files = before if wanted is self._written else {name: text.encode() for name, text in wanted.files().items()}
        try:
            others = [name for name, text in files.items() if _read(self.directory / name) != text]
            fresh = {name: _write_beside(self.directory / name, files[name]) for name in others}
            for name, written in fresh.items():
                written.replace(self.directory / name)
                if before.get(name) == files[name]:
                    log.warning("proxy.file.mended", file=str(self.directory / name))
                passed(CrashPoint.FILE_WRITTEN)
        except OSError as reason:
            for name in files:
                with contextlib.suppress(OSError):
                    (self.directory / f"{name}{_FRESH}").unlink()
            raise ProxyFailed(f"HAProxy's files cannot be written ({reason}); it does what it did") from reason
        self._written, self._texts = wanted, files

    async def _check(self, wanted: Rendering) -> None:
        """Let the HAProxy that is installed check a rendering, beside the files in force. Raises ProxyFailed."""
        environment, keep = self.inherited
        try:
            with tempfile.TemporaryDirectory(dir=self.directory.parent, prefix=CHECK_PREFIX) as directory:
                for file, text in wanted.files().items():
                    path = Path(directory) / file
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(text)
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
        except OSError as reason:
            raise ProxyFailed(f"the configuration cannot be checked ({reason}); nothing was changed") from reason
        if process.returncode:
            raise ProxyFailed(f"HAProxy refuses the configuration; nothing was changed: {output.decode().strip()}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write_beside(path: Path, text: bytes) -> Path:
    """Write what is to replace a file, and return where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + _FRESH)
    fresh.write_bytes(text)
    return fresh
