"""The HAProxy process: started, found again, started again, ended."""

import asyncio
import errno
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from balancer.domain.routing import RouteTable
from balancer.errors import PortTaken
from balancer.proxy.life import ProxyLife
from proxies import driver, running_proxy
from waiting import eventually

pytestmark = pytest.mark.anyio


def refuses(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_a_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        life = ProxyLife(driver(tmp_path), edge=tmp_path / "edge", host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(PortTaken):
            await life.begin(RouteTable())


async def test_a_killed_haproxy_is_started_again_and_no_connection_is_refused(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        before, port = await proxy.pid(), proxy.life.port
        connected = 0

        async def visit() -> None:
            nonlocal connected
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                connected += 1

        visitors = asyncio.ensure_future(visit())
        os.kill(before, signal.SIGKILL)
        assert await proxy.pid(other_than=before) != before
        await proxy.haproxy.wait_until_ready()
        visitors.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visitors
        assert connected > 10
        assert proxy.life.port == port
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 404
    assert [path.name for path in sorted(proxy.edge.iterdir())] == ["000001.log", "000002.log"]


async def test_a_daemon_that_restarts_finds_the_running_haproxy_and_its_socket(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        before = await proxy.pid()
        again = driver(tmp_path)
        life = ProxyLife(again, edge=proxy.edge, host="127.0.0.1", port=0)
        await life.begin(RouteTable())
        assert life.port == proxy.life.port
        await again.apply(RouteTable())
        assert len(list(proxy.edge.iterdir())) == 1  # none was started
        life.abandon()
        assert await proxy.pid() == before


async def test_after_the_end_nothing_listens_and_nothing_runs(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        pid, port = await proxy.pid(), proxy.life.port
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await eventually(lambda: refuses(port), 30)  # the last of its group are killed, and not waited for
