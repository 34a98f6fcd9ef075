"""A real HAProxy below a directory, kept alive by the platform's own code, on a port that was free."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from balancer import processes
from balancer.domain.routing import RouteTable, route_table
from balancer.domain.snapshot import Snapshot
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.installed import find_executable, version_of
from balancer.proxy.life import ProxyLife
from values import LOCALHOST, app, instance, release
from waiting import eventually


@dataclass(frozen=True)
class RunningProxy:
    """HAProxy, what drives it, and what keeps it alive."""

    haproxy: HAProxy
    life: ProxyLife
    edge: Path

    async def pid(self, *, other_than: int | None = None) -> int:
        """Return the pid of the master, once it is there and another."""
        found: list[int] = []

        def is_there() -> bool:
            # Right after its start it executes itself again, and for a moment has no environment.
            process = processes.find("BALANCER_PROXY", str(self.haproxy.directory))
            if process and process.pid != other_than:
                found.append(process.pid)
            return bool(found)

        await eventually(is_there, 30)
        return found[0]


def driver(directory: Path, executable: str = "haproxy") -> HAProxy:
    """Return a HAProxy that does not run yet."""
    return HAProxy(directory / "haproxy", executable=find_executable(executable), maxconn=100)


@asynccontextmanager
async def running_proxy(
    directory: Path, table: RouteTable | None = None, executable: str = "haproxy"
) -> AsyncIterator[RunningProxy]:
    """Give a HAProxy that does what `table` says (nothing by default), and end it."""
    haproxy = driver(directory, executable)
    life = ProxyLife(haproxy, edge=directory / "edge", host="127.0.0.1", port=0)
    try:
        await life.begin(table or RouteTable())
        keeper = asyncio.ensure_future(life.keep_alive())
        try:
            yield RunningProxy(haproxy, life, directory / "edge")
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
    finally:
        await life.end(0)


def shop(*ports: int) -> RouteTable:
    """Return a shop whose master has an instance on each port."""
    live = release(1)
    instances = tuple(instance(10 + n, live, port=port) for n, port in enumerate(ports))
    return route_table(Snapshot(apps=(app(),), releases=(live,), instances=instances), LOCALHOST)


class Instance:
    """An instance that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            self.asked += 1
            await self.may_answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Instance]:
    """Give an instance on a port of its own."""
    found = Instance()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        found.may_answer.set()


async def get(proxy: RunningProxy, host: str) -> httpx.Response:
    """Ask the site for a page."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(f"http://127.0.0.1:{proxy.life.port}/", headers={"Host": host})


class Installation:
    """A HAProxy of a test's own, which is replaced as a package manager does it: another file, renamed to its path."""

    def __init__(self, directory: Path) -> None:
        self._real = Path(find_executable("haproxy"))
        self.version = version_of(str(self._real))
        self.path = directory / "installed" / "haproxy"
        self.path.parent.mkdir()
        self.install(self._real.read_bytes())

    def install(self, program: bytes) -> None:
        fresh = self.path.with_name("haproxy.dpkg-new")
        fresh.write_bytes(program)
        fresh.chmod(0o755)
        fresh.replace(self.path)

    def upgrade(self) -> str:
        """Install the same program with another version in it, and return that."""
        other = self.version[:-1] + chr(ord(self.version[-1]) ^ 1)
        self.install(self._real.read_bytes().replace(self.version.encode(), other.encode()))
        assert version_of(str(self.path)) == other
        return other
