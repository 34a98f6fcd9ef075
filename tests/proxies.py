"""A real HAProxy below a directory, kept alive by the platform's own code, on a port that was free."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from balancer import processes
from balancer.domain.routing import RouteTable
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.life import ProxyLife, find_executable
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

        await eventually(is_there, 5)
        return found[0]


def driver(directory: Path) -> HAProxy:
    """Return a HAProxy that does not run yet."""
    return HAProxy(directory / "haproxy", executable=find_executable("haproxy"), maxconn=100)


@asynccontextmanager
async def running_proxy(directory: Path, table: RouteTable | None = None) -> AsyncIterator[RunningProxy]:
    """Give a HAProxy that does what `table` says (nothing by default), and end it."""
    haproxy = driver(directory)
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
