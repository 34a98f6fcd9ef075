"""Modes of an app: what HAProxy answers while it is paused, in maintenance, stopped."""

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.app import AppMode
from balancer.domain.routing import RouteTable
from balancer.proxy import render as rendering
from balancer.proxy import runtime
from balancer.proxy.hold import HOLD
from contract.proxies import Proxy, app_route, haproxy, instance
from waiting import eventually

pytestmark = pytest.mark.anyio
COOKIE = "balancer=00000000-0000-4000-8000-000000000000.s1.test.1.1.1700000000000"


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    with instance("master") as master, instance("test") as test:
        yield master, test


def table(ports: tuple[int, int], mode: AppMode) -> RouteTable:
    """Return a shop with a split in this mode, beside a blog that serves."""
    master, test = ports
    shop = app_route("shop", {"master": [master], "test": [test]}, split="s1", weights=[{"master": 5000, "test": 5000}])
    return RouteTable(apps=(replace(shop, mode=mode), app_route("blog", {"master": [master]})))


@pytest.fixture
async def proxy(tmp_path: Path, ports: tuple[int, int]) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, table(ports, AppMode.SERVING)) as running:
        yield running


def ask(
    proxy: Proxy, host: str = "shop.localhost", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Return status and body of one answer."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=40)) as connection:
        connection.request(method, "/", body, {"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


async def asked(
    proxy: Proxy, host: str = "shop.localhost", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Do as `ask` does, beside others."""
    return await asyncio.to_thread(ask, proxy, host, method, body, **headers)


@pytest.mark.parametrize(("mode", "title"), [(AppMode.MAINTENANCE, "Back soon"), (AppMode.STOPPED, "Not running")])
async def test_an_app_that_is_out_of_service_says_so_on_all_its_hosts_and_no_other_app_does(
    proxy: Proxy, ports: tuple[int, int], mode: AppMode, title: str
) -> None:
    before = await runtime.workers(proxy.haproxy.master)
    await proxy.haproxy.apply(table(ports, mode))
    for host in ("shop.localhost", "test--shop.localhost", "SHOP.localhost:80"):
        for cookie in ("", COOKIE):
            status, page = await asked(proxy, host, Cookie=cookie)
            assert (status, f"<h1>{title}</h1>" in page) == (503, True)
    assert (await asked(proxy, "blog.localhost"))[0] == 200
    await proxy.haproxy.apply(table(ports, AppMode.SERVING))
    assert (await asked(proxy, Cookie=COOKIE))[0] == 200
    assert await runtime.workers(proxy.haproxy.master) == before, "runtime commands alone"


async def test_requests_of_a_paused_app_wait_and_go_on_when_it_serves_again(
    proxy: Proxy, ports: tuple[int, int]
) -> None:
    await proxy.haproxy.apply(table(ports, AppMode.PAUSED))
    held = [asyncio.ensure_future(asked(proxy, "shop.localhost", "POST", b"x" * 100_000)) for _ in range(3)]
    held += [asyncio.ensure_future(asked(proxy, Cookie=COOKIE)) for _ in range(2)]

    async def all_wait() -> bool:
        return await connections(proxy) >= 5

    await eventually(all_wait, 30)
    assert (await asked(proxy, "blog.localhost"))[0] == 200
    assert not any(task.done() for task in held)
    await proxy.haproxy.apply(table(ports, AppMode.SERVING))
    assert {status for status, _ in await asyncio.gather(*held)} == {200}


async def test_nobody_waits_longer_than_the_limit_and_who_has_waited_is_told(
    tmp_path: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 30 s are made 1 s."""
    assert HOLD.count("30000") == 1
    monkeypatch.setitem(rendering._STATIC, "hold.lua", HOLD.replace("30000", "1000"))
    async with haproxy(tmp_path, table(ports, AppMode.PAUSED)) as proxy:
        for method, body in (("GET", None), ("POST", b"x" * 100_000)):
            began = time.monotonic()
            status, page = await asked(proxy, "shop.localhost", method, body)
            waited = time.monotonic() - began
            assert (status, "<h1>A moment</h1>" in page) == (503, True)
            assert 1 <= waited < 10
        assert (await asked(proxy, "blog.localhost"))[0] == 200
        await proxy.haproxy.apply(table(ports, AppMode.SERVING))
        assert (await asked(proxy))[0] == 200


async def test_what_a_worker_from_before_a_reload_holds_goes_on_too(proxy: Proxy, ports: tuple[int, int]) -> None:
    paused = table(ports, AppMode.PAUSED)
    await proxy.haproxy.apply(paused)
    held = asyncio.ensure_future(asked(proxy))

    async def waits() -> bool:
        return await connections(proxy) >= 1

    await eventually(waits, 30)
    more = app_route("new", {"master": [ports[0]]})
    await proxy.haproxy.apply(RouteTable(apps=(*paused.apps, more)))
    assert (await runtime.workers(proxy.haproxy.master))[1], "an old worker has the request"
    await proxy.haproxy.apply(RouteTable(apps=(*table(ports, AppMode.SERVING).apps, more)))
    assert (await held)[0] == 200


async def test_clients_that_go_away_while_they_are_held_leave_nothing_behind(
    proxy: Proxy, ports: tuple[int, int]
) -> None:
    await proxy.haproxy.apply(table(ports, AppMode.PAUSED))
    gone = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(100)]
    for connection in gone:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")

    async def all_wait() -> bool:
        return await connections(proxy) >= 100

    await eventually(all_wait, 30)
    for connection in gone:
        connection.close()
    await proxy.haproxy.apply(table(ports, AppMode.SERVING))

    async def all_gone() -> bool:
        return await connections(proxy) == 0

    await eventually(all_gone, 40)
    assert (await asked(proxy))[0] == 200


async def test_a_hundred_clients_under_pauses_lose_no_request(proxy: Proxy, ports: tuple[int, int]) -> None:
    statuses: list[int] = []

    def read() -> None:
        statuses.extend(ask(proxy)[0] for _ in range(20))

    with ThreadPoolExecutor(20) as clients:
        reading = [clients.submit(read) for _ in range(20)]
        for _ in range(5):
            for mode in (AppMode.PAUSED, AppMode.SERVING):
                await proxy.haproxy.apply(table(ports, mode))
        await asyncio.gather(*(asyncio.wrap_future(future) for future in reading))
    assert statuses == [200] * 400


async def connections(proxy: Proxy) -> int:
    """Return how many clients the present worker has; its own sockets apart."""
    answer = await runtime.ask(proxy.haproxy.admin, "show stat -1 1 -1")
    columns, row = (line.split(",") for line in answer.splitlines()[:2])
    return int(row[columns.index("scur")])
