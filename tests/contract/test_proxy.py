"""What the real HAProxy does when a route table is applied."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.routing import RouteTable
from balancer.proxy import runtime
from browsing import Browser
from contract.proxies import Proxy, app_route, haproxy, instance

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    with instance("one") as one, instance("two") as two:
        yield one, two


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, RouteTable()) as started:
        yield started


async def answered_by(proxy: Proxy, host: str = "shop.localhost") -> str:
    answer = await anyio.to_thread.run_sync(Browser(proxy.port, host).get, "/")
    return str(json.loads(answer.body)["instance"]) if answer.status == 200 else str(answer.status)


async def pids(proxy: Proxy) -> frozenset[int]:
    return (await runtime.workers(proxy.haproxy.master))[0]


async def test_an_app_that_appears_is_served_when_apply_returns(proxy: Proxy, ports: tuple[int, int]) -> None:
    assert await answered_by(proxy) == "404"
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [ports[0]]}),)))
    assert await answered_by(proxy) == "one"


async def test_a_new_instance_of_a_branch_takes_over_without_a_reload(proxy: Proxy, ports: tuple[int, int]) -> None:
    one, two = ports
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [one]}),)))
    worker = await pids(proxy)
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [two]}, draining={"master": [one]}),)))
    assert [await answered_by(proxy) for _ in range(6)] == ["two"] * 6
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [two]}),)))
    state = await runtime.observe(proxy.haproxy.admin, ())
    assert list(state.servers) == [("master--shop", f"r1-i{two}")]
    assert await pids(proxy) == worker


async def test_when_the_new_instance_dies_what_stands_by_serves_at_once_and_is_busy_meanwhile(
    proxy: Proxy, ports: tuple[int, int]
) -> None:
    held, release = threading.Event(), threading.Event()
    with instance("warm", held, release) as warm:
        with instance("new") as new:
            before = app_route("shop", {"master": [warm]})
            after = app_route("shop", {"master": [new]}, standby={"master": [warm]})
            await proxy.haproxy.apply(RouteTable(apps=(before,)))
            await proxy.haproxy.apply(RouteTable(apps=(after,)))
            assert {await answered_by(proxy) for _ in range(6)} == {"new"}
        waiting = asyncio.ensure_future(answered_by(proxy))
        await anyio.to_thread.run_sync(held.wait, 30)
        assert (await proxy.haproxy.traffic()).busy == {f"r1-i{warm}"}
        release.set()
        assert await waiting == "warm"
        assert {await answered_by(proxy) for _ in range(6)} == {"warm"}
        gone = app_route("shop", {"master": [ports[0]]}, draining={"master": [warm]})
        await proxy.haproxy.apply(RouteTable(apps=(gone,)))
        assert {await answered_by(proxy) for _ in range(6)} == {"one"}


async def test_applying_the_same_table_again_changes_nothing(proxy: Proxy, ports: tuple[int, int]) -> None:
    table = RouteTable(apps=(app_route("shop", {"master": [ports[0]]}),))
    await proxy.haproxy.apply(table)
    worker = await pids(proxy)
    before = await runtime.observe(proxy.haproxy.admin, ("maps/hosts.map",))
    await proxy.haproxy.apply(table)
    assert await runtime.observe(proxy.haproxy.admin, ("maps/hosts.map",)) == before
    assert await pids(proxy) == worker


async def test_a_server_that_was_added_and_left_half_way_is_finished(proxy: Proxy, ports: tuple[int, int]) -> None:
    one, two = ports
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [one]}),)))
    name = f"master--shop/r1-i{two}"
    await runtime.ask(proxy.haproxy.admin, f"add server {name} 127.0.0.1:{two} check inter 5s observe layer4")
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [one, two]}),)))
    state = (await runtime.ask(proxy.haproxy.admin, "show servers state master--shop")).splitlines()
    columns = state[1].removeprefix("# ").split()
    checks = {row[3]: int(row[columns.index("srv_check_state")]) for row in (line.split() for line in state[2:])}
    assert checks == {f"r1-i{one}": 6, f"r1-i{two}": 6}, "checks are configured (2) and enabled (4)"
    assert {await answered_by(proxy) for _ in range(20)} == {"one", "two"}


async def test_a_map_larger_than_haproxys_buffer_arrives_whole(proxy: Proxy, ports: tuple[int, int]) -> None:
    """A payload that does not fit tune.bufsize is dropped without an error: ours are cut."""
    hosts = tuple(f"a-rather-long-name-of-a-host-number-{number}.example" for number in range(2000))
    route = app_route("shop", {"master": [ports[0]]})
    await proxy.haproxy.apply(RouteTable(apps=(route,)))
    worker = await pids(proxy)
    many = type(route)(
        name=route.name,
        hosts=hosts,
        branch_hosts=route.branch_hosts,
        default_backend=route.default_backend,
        backends=route.backends,
        split=None,
    )
    await proxy.haproxy.apply(RouteTable(apps=(many,)))
    assert await pids(proxy) == worker
    assert await answered_by(proxy, hosts[0]) == await answered_by(proxy, hosts[-1]) == "one"


async def test_requests_in_flight_are_busy_until_they_are_answered(proxy: Proxy) -> None:
    held, release = threading.Event(), threading.Event()
    with instance("slow", held, release) as port:
        await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [port]}),)))
        name = f"r1-i{port}"
        waiting = asyncio.ensure_future(anyio.to_thread.run_sync(Browser(proxy.port, "shop.localhost").get, "/"))
        await anyio.to_thread.run_sync(held.wait, 30)
        assert (await proxy.haproxy.traffic()).busy == {name}
        release.set()
        assert (await waiting).status == 200
        async with asyncio.timeout(30):
            while (await proxy.haproxy.traffic()).busy:
                await anyio.lowlevel.checkpoint()


async def test_a_haproxy_that_dies_comes_back_with_what_it_did_last(proxy: Proxy, ports: tuple[int, int]) -> None:
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [ports[0]]}),)))
    await proxy.haproxy.apply(RouteTable(apps=(app_route("shop", {"master": [ports[1]]}),)))
    answer = await runtime.ask(proxy.haproxy.master, "show proc")
    master = int(answer.splitlines()[1].split()[0])
    os.kill(master, signal.SIGKILL)
    async with asyncio.timeout(30):
        while await asyncio.to_thread(_status, proxy) != 200:
            await anyio.lowlevel.checkpoint()
    assert await answered_by(proxy) == "two"


def _status(proxy: Proxy) -> int:
    try:
        return Browser(proxy.port, "shop.localhost").get().status
    except OSError:
        return 0
