"""A running HAProxy follows route tables, and never takes one that it would refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from balancer.domain.routing import BackendRoute, Role, RouteTable, ServerRoute, route_table
from balancer.domain.snapshot import Snapshot
from balancer.errors import ProxyFailed
from balancer.proxy import runtime
from balancer.proxy.render import render
from proxies import RunningProxy, driver, running_proxy
from values import LOCALHOST, app, instance, release
from waiting import eventually

pytestmark = pytest.mark.anyio


def shop(*ports: int) -> RouteTable:
    """Return a shop whose master has an instance on each port."""
    live = release(1)
    instances = tuple(instance(10 + n, live, port=port) for n, port in enumerate(ports))
    return route_table(Snapshot(apps=(app(),), releases=(live,), instances=instances), LOCALHOST)


def refused() -> RouteTable:
    """Return a table that HAProxy does not take: two servers of one name."""
    twin = ServerRoute(name="r1-i1", port=20001, role=Role.ACTIVE)
    (only,) = shop().apps
    return RouteTable(apps=(replace(only, backends=(BackendRoute(name="twins--shop", servers=(twin, twin)),)),))


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
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.get(f"http://127.0.0.1:{proxy.life.port}/", headers={"Host": host})


async def test_when_apply_returns_visitors_get_what_the_table_says(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path) as proxy:
        one.may_answer.set()
        assert (await get(proxy, "shop.localhost")).status_code == 404
        await proxy.haproxy.apply(shop(one.port))
        assert (await get(proxy, "shop.localhost")).text == "ok"
        await proxy.haproxy.apply(RouteTable())
        assert (await get(proxy, "shop.localhost")).status_code == 404


async def test_what_runs_is_also_what_a_restart_would_read(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        for table in (shop(20001), shop(20002, 20003), shop()):
            await proxy.haproxy.apply(table)
            wanted = render(table, maxconn=100)
            for name, text in wanted.files().items():
                assert (proxy.haproxy.directory / name).read_bytes() == text.encode()
            found = await runtime.observe(proxy.haproxy.admin, tuple(wanted.maps))
            assert found.servers.keys() == wanted.servers.keys()
            assert found.maps == wanted.maps
        assert not list(proxy.haproxy.directory.rglob("*.new"))


async def test_a_branch_that_only_gets_other_servers_needs_no_reload(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, shop(20001)) as proxy:
        workers = await runtime.workers(proxy.haproxy.master)
        await proxy.haproxy.apply(shop(20002))
        assert await runtime.workers(proxy.haproxy.master) == workers


async def test_a_configuration_that_haproxy_would_refuse_changes_nothing(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port)) as proxy:
        one.may_answer.set()
        before = (proxy.haproxy.directory / "haproxy.cfg").read_text()
        with pytest.raises(ProxyFailed, match="HAProxy refuses the configuration; nothing was changed"):
            await proxy.haproxy.apply(refused())
        assert (proxy.haproxy.directory / "haproxy.cfg").read_text() == before
        assert (await get(proxy, "shop.localhost")).text == "ok"
        await proxy.haproxy.apply(RouteTable())
        assert (await get(proxy, "shop.localhost")).status_code == 404
    assert not list(tmp_path.glob(".check-*"))


async def test_a_haproxy_that_is_yet_to_start_is_not_given_what_it_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(ProxyFailed, match="HAProxy refuses"):
        async with running_proxy(tmp_path, refused()):
            pass
    assert not (tmp_path / "haproxy" / "haproxy.cfg").exists()


async def test_two_tables_at_once_are_applied_one_after_the_other(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        await asyncio.gather(*(proxy.haproxy.apply(shop(*range(20001, 20001 + count))) for count in (3, 0, 2, 1)))
        state = await runtime.observe(proxy.haproxy.admin, ())
        assert state.servers.keys() == {("master--shop", "r1-i10")}


async def test_a_server_with_a_request_in_flight_is_busy_until_it_has_answered(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port)) as proxy:
        names = ("r1-i10", "r9-i9")
        assert await proxy.haproxy.busy(names) == set()
        request = asyncio.ensure_future(get(proxy, "shop.localhost"))
        await eventually(lambda: one.asked, 5)
        assert await proxy.haproxy.busy(names) == {"r1-i10"}
        assert await proxy.haproxy.busy(("r9-i9",)) == set()
        one.may_answer.set()
        assert (await request).text == "ok"
        assert await proxy.haproxy.busy(names) == set()


async def test_while_a_worker_of_before_a_reload_lives_every_server_is_taken_for_busy(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port)) as proxy:
        request = asyncio.ensure_future(get(proxy, "shop.localhost"))
        await eventually(lambda: one.asked, 5)
        await proxy.haproxy.apply(RouteTable())
        assert await proxy.haproxy.busy(("r1-i10", "r9-i9")) == {"r1-i10", "r9-i9"}
        one.may_answer.set()
        assert (await request).text == "ok"


async def test_nobody_is_asked_about_no_servers(tmp_path: Path) -> None:
    assert await driver(tmp_path).busy(()) == set()
