"""The life of the HAProxy process: started, found again, kept alive, drained at the end.

Invariants:
    * A daemon that restarts finds the running HAProxy and leaves it alone.
    * HAProxy is started again as soon as it ends, with what was rendered last.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from balancer import logs, processes
from balancer.domain.routing import RouteTable
from balancer.errors import BalancerError, HostUnfit, PortTaken, ProxyFailed
from balancer.processes import Process
from balancer.proxy import installed, listener, runtime
from balancer.proxy.haproxy import CHECK_PREFIX, HAProxy

log = logs.named("proxy")
_MARK = "BALANCER_PROXY"
_WEB_FDS, _EDGE_FD = ("BALANCER_WEB_FD", "BALANCER_WEB6_FD"), "BALANCER_EDGE_FD"
# Half a second before the next start of a HAProxy that ended at once, so that a broken one does not eat a core.
_RESTART_PAUSE_SECONDS = 0.5
_POLL_SECONDS = 0.05
# 10 looks, half a second: a reload takes a tenth of one.
_LOOKS = 10


async def _nothing() -> None:
    """Do nothing."""


class ProxyLife:
    """Keeps one HAProxy alive."""

    def __init__(
        self, haproxy: HAProxy, *, edge: Path, host: str, port: int, held: Sequence[socket.socket] = ()
    ) -> None:
        self._haproxy = haproxy
        self._edge = edge
        self._host, self._port = host, port
        self._site = list(held)
        """Empty only where a running HAProxy has the sockets and we may not have a copy of them."""
        self._checked: list[socket.socket] = []
        self._process: Process | None = None
        self.restarts = 0
        """How often HAProxy has ended and was started again."""
        self.on_start: Callable[[], None] = lambda: None
        """Called when HAProxy was started again: what it was told meanwhile is to be told again."""

    @property
    def port(self) -> int:
        """The port of the site; the one the system chose where the setting is 0."""
        return int(self._site[0].getsockname()[1]) if self._site else self._port

    async def begin(self, table: RouteTable, warm_up: Callable[[], Awaitable[None]] = _nothing) -> None:
        """Find the running HAProxy, or start one that does what `table` says.

        Before one is started `warm_up` is waited for; visitors wait too, in the queue of the listening socket.
        Raises PortTaken, AddressUnusable, ProxyFailed.
        """
        directory = self._haproxy.directory
        directory.mkdir(parents=True, exist_ok=True)
        await self._find_or_listen()
        for unfinished in directory.parent.glob(f"{CHECK_PREFIX}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if self._process:
            self._adopt(self._process)
            await self._haproxy.prepare(table)
            return
        await warm_up()
        await self._start(table)

    async def _find_or_listen(self) -> None:
        """Adopt the running HAProxy, or else listen. Raises PortTaken, AddressUnusable.

        While HAProxy executes itself again, for a reload, its environment is empty for a moment and it is not found;
        then it is its own port that is taken.
        """
        for look in range(_LOOKS):
            identity = processes.find(_MARK, str(self._haproxy.directory))
            self._process = Process.adopt(identity) if identity else None
            if self._process:
                return
            try:
                self._site = self._site or listener.listen(self._host, self._port)
            except PortTaken:
                if look == _LOOKS - 1:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return

    async def keep_alive(self) -> None:
        """Start HAProxy again whenever it ends; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None, "begin comes first"
            began = loop.time()
            ending = await self._process.wait()
            log.warning("proxy.died", ending=str(ending))
            if loop.time() - began < _RESTART_PAUSE_SECONDS:
                await asyncio.sleep(_RESTART_PAUSE_SECONDS)
            try:
                self._site = self._site or listener.listen(self._host, self._port)
                await self._start(None)
                self.restarts += 1
            except (BalancerError, OSError) as reason:
                log.error("proxy.failed", reason=str(reason))
            self.on_start()

    async def worker(self) -> runtime.Worker:
        """Return what the process that serves says of itself. Raises ProxyFailed."""
        return await self._haproxy.worker()

    async def renew(self) -> runtime.Worker:
        """Let HAProxy execute itself again, as it is installed now; return the new worker. Raises ProxyFailed."""
        return await self._haproxy.renew()

    async def renew_if_other(self) -> None:
        """Renew a HAProxy that is of another version than the one installed; one that cannot be renewed serves on."""
        try:
            version = await asyncio.to_thread(installed.version_of, self._haproxy.executable)
            if (await self.worker()).version != version:
                await self.renew()
        except (HostUnfit, ProxyFailed) as reason:
            log.error("proxy.not.renewed", reason=str(reason))

    async def end(self, drain_seconds: float) -> None:
        """Take no new connection, let requests in flight finish for up to `drain_seconds`, and stop HAProxy."""
        self._close_sockets()
        if self._process is None or not self._process.running:
            return
        os.kill(self._process.id.pid, signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                while self._process.running and await self._in_flight():  # noqa: ASYNC110 - HAProxy has to be asked
                    await asyncio.sleep(_POLL_SECONDS)
        await self._process.stop(grace_seconds=2.0)

    def sockets(self) -> tuple[socket.socket, ...]:
        """Return copies of the listening sockets, for a daemon that replaces this one."""
        # Not socket.dup, which makes the copy block, and with it HAProxy in its accept: the flag is of all copies.
        return tuple(socket.socket(fileno=os.dup(site.fileno())) for site in self._site)

    def abandon(self) -> None:
        """Leave HAProxy to itself, serving; it has the sockets too."""
        self._close_sockets()
        if self._process:
            self._process.forget()

    def _close_sockets(self) -> None:
        for ours in {*self._site, *self._checked}:
            ours.close()

    async def _start(self, table: RouteTable | None) -> None:
        edge_fd = listener.open_edge_log(self._edge)
        try:
            web = self._hand_over(self._site, edge_fd)
            if table is None:
                self._haproxy.restore()
            else:
                await self._haproxy.prepare(table)
            self._process = Process.spawn(
                [self._haproxy.executable, "-W", "-S", "unix@./master.sock,mode,600", "-f", "haproxy.cfg"],
                directory=self._haproxy.directory,
                environment={**os.environ, **self._haproxy.inherited[0], _MARK: str(self._haproxy.directory)},
                output=self._haproxy.directory / "haproxy.log",
                keep=(*web, edge_fd),
            )
        finally:
            os.close(edge_fd)
        # The check of later renderings wants any descriptor that may be written to as the edge log.
        self._hand_over(self._site, edge_fd=1)
        await self._haproxy.wait_until_ready()
        log.info("proxy.started", pid=self._process.id.pid, port=self.port)

    def _adopt(self, process: Process) -> None:
        environment = _environment_of(process.id.pid)
        try:
            self._site = self._site or [
                listener.take(process.id.pid, int(environment[name])) for name in _WEB_FDS if name in environment
            ]
            self._hand_over(self._site, edge_fd=1)
            if self._port not in (0, self.port):
                log.warning("proxy.port.kept", port=self.port, setting=self._port)
        except OSError as reason:
            log.warning(
                "proxy.socket.not.held",
                reason=str(reason),
                consequence="while HAProxy restarts, connections are refused; allow ptrace of own processes to mend it",
            )
            self._hand_over([socket.socket()], edge_fd=1)
        log.info("proxy.adopted", pid=process.id.pid)

    def _hand_over(self, sockets: list[socket.socket], edge_fd: int) -> tuple[int, ...]:
        """Tell the configuration which descriptors it is given; return those of the sockets."""
        web = tuple(site.fileno() for site in sockets)
        environment = {name: str(number) for name, number in zip(_WEB_FDS, web, strict=False)}
        self._haproxy.inherited = ({**environment, _EDGE_FD: str(edge_fd)}, (*web, edge_fd))
        for stand_in in set(self._checked) - set(sockets):
            stand_in.close()
        self._checked = sockets  # kept open for as long as checks refer to them
        return web

    async def _in_flight(self) -> bool:
        try:
            return bool((await self._haproxy.traffic()).busy)
        except ProxyFailed:
            return True  # it is about to end, or will be when the time is up


def _environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode(errors="replace").split("=", 1) for entry in entries if b"=" in entry)
