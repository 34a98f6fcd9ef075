"""A running HAProxy follows route tables, and never takes one that it would refuse."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from balancer.domain.routing import BackendRoute, Role, RouteTable, ServerRoute
from balancer.domain.traffic import Traffic
from balancer.errors import ProxyFailed
from balancer.proxy import runtime
from balancer.proxy.render import render
from balancer.proxy.state import Admin
from proxies import RunningProxy, get, running_proxy, serving, shop
from waiting import eventually

pytestmark = pytest.mark.anyio


def refused() -> RouteTable:
    """Return a table that HAProxy does not take: two servers of one name."""
    twin = ServerRoute(name="r1-i1", port=20001, role=Role.ACTIVE)
    (only,) = shop().apps
    return RouteTable(apps=(replace(only, backends=(BackendRoute(name="twins--shop", servers=(twin, twin)),)),))


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
    async with serving() as one, running_proxy(tmp_path, shop(one.port, 20001)) as proxy:
        assert await proxy.haproxy.traffic() == Traffic()
        request = asyncio.ensure_future(get(proxy, "shop.localhost"))
        await eventually(lambda: one.asked, 30)
        assert await proxy.haproxy.traffic() == Traffic(busy=frozenset({"r1-i10"}))
        one.may_answer.set()
        assert (await request).text == "ok"
        assert await proxy.haproxy.traffic() == Traffic()


async def test_what_is_in_flight_in_a_worker_of_before_a_reload_is_busy_and_nothing_else_is(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port, 20001)) as proxy:
        request = asyncio.ensure_future(get(proxy, "shop.localhost"))
        await eventually(lambda: one.asked, 30)
        await proxy.haproxy.apply(RouteTable())
        await proxy.haproxy.apply(shop(20001))
        assert len((await runtime.workers(proxy.haproxy.master))[1]) == 1, "one has ended: it had nothing to do"
        assert await proxy.haproxy.traffic() == Traffic(busy=frozenset({"r1-i10"}))
        one.may_answer.set()
        assert (await request).text == "ok"
        assert await proxy.haproxy.traffic() == Traffic()


async def test_an_idle_connection_of_before_a_reload_may_bring_a_request_to_whatever_served_then(
    tmp_path: Path,
) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port, 20001)) as proxy:
        one.may_answer.set()
        headers = {"Host": "shop.localhost"}
        async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as client:
            url = f"http://127.0.0.1:{proxy.life.port}/"
            assert (await client.get(url)).text == "ok"
            await proxy.haproxy.apply(RouteTable())
            await proxy.haproxy.apply(shop(20002))
            assert await proxy.haproxy.traffic() == Traffic(reachable=frozenset({"r1-i10", "r1-i11"}))
            assert (await client.get(url)).text == "ok", "from the instance that the present worker does not know"
            await eventually(lambda: _is_quiet(proxy), 30)


async def _is_quiet(proxy: RunningProxy) -> bool:
    return await proxy.haproxy.traffic() == Traffic()


TEARS: dict[str, Callable[[bytes], bytes | None]] = {
    "torn": lambda text: text[: len(text) // 2],
    "emptied": lambda _: b"",
    "garbage": lambda _: b"\0\xff garbage { \n" * 40,
    "gone": lambda _: None,
}


def tear(directory: Path, how: str) -> None:
    """Spoil every file that HAProxy reads."""
    for name in render(RouteTable(), maxconn=100).files():
        spoilt = TEARS[how](directory.joinpath(name).read_bytes())
        if spoilt is None:
            directory.joinpath(name).unlink()
        else:
            directory.joinpath(name).write_bytes(spoilt)


@pytest.mark.parametrize("how", TEARS)
async def test_no_reload_renewal_or_restart_reads_a_spoilt_file(tmp_path: Path, how: str) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port)) as proxy:
        one.may_answer.set()
        directory = proxy.haproxy.directory
        tear(directory, how)
        await proxy.haproxy.renew()
        assert (await get(proxy, "shop.localhost")).text == "ok"
        tear(directory, how)
        await proxy.haproxy.apply(RouteTable())  # another skeleton
        await proxy.haproxy.apply(shop(one.port))
        assert (await get(proxy, "shop.localhost")).text == "ok"
        tear(directory, how)
        before = await proxy.pid()
        os.kill(before, signal.SIGKILL)
        await proxy.pid(other_than=before)
        assert (await get(proxy, "shop.localhost")).text == "ok"
        tear(directory, how)
        await proxy.haproxy.apply(shop(one.port))  # the next pass, though nothing has changed
        for name, text in render(shop(one.port), maxconn=100).files().items():
            assert (directory / name).read_bytes() == text.encode()


async def test_older_files_are_not_gone_back_to(tmp_path: Path) -> None:
    async with serving() as one, serving() as two, running_proxy(tmp_path, shop(two.port)) as proxy:
        one.may_answer.set()
        older = {
            path: path.read_bytes() for path in proxy.haproxy.directory.rglob("*") if path.suffix in {".cfg", ".map"}
        }
        await proxy.haproxy.apply(shop(one.port))
        for way in (signal.SIGKILL, signal.SIGTERM, None):
            for path, text in older.items():
                path.write_bytes(text)
            if way is None:
                await proxy.haproxy.renew()
            else:
                before = await proxy.pid()
                os.kill(before, way)
                await proxy.pid(other_than=before)
            assert (await get(proxy, "shop.localhost")).text == "ok"
        assert two.asked == 0


async def test_files_that_cannot_be_written_are_all_as_before_and_so_is_what_visitors_get(tmp_path: Path) -> None:
    async with serving() as one, running_proxy(tmp_path, shop(one.port)) as proxy:
        one.may_answer.set()
        directory = proxy.haproxy.directory
        before = {path: path.read_bytes() for path in (directory / "maps").iterdir()}
        (directory / "haproxy.cfg.new").mkdir()  # the last one to be written
        with pytest.raises(ProxyFailed, match="files cannot be written"):
            await proxy.haproxy.apply(RouteTable())
        assert {path: path.read_bytes() for path in (directory / "maps").iterdir()} == before
        assert (await get(proxy, "shop.localhost")).text == "ok"


async def test_what_somebody_else_has_told_haproxy_is_mended_by_the_next_pass_though_nothing_has_changed(
    tmp_path: Path,
) -> None:
    table = shop(20001, 20002)
    async with running_proxy(tmp_path, table) as proxy:
        await proxy.haproxy.apply(table)
        wanted = render(table, maxconn=100)
        for command in (
            "del map ./maps/hosts.map shop.localhost",
            "set map ./maps/defaults.map shop elsewhere",
            "add map ./maps/fast.map somewhere/s1.master.1.1 master--shop",
            "set server master--shop/r1-i10 state maint",
            "set server master--shop/r1-i11 state drain",
        ):
            assert await runtime.ask(proxy.haproxy.admin, command) == ""
        changed = await runtime.observe(proxy.haproxy.admin, tuple(wanted.maps))
        assert changed.maps != wanted.maps
        await proxy.haproxy.apply(table)
        found = await runtime.observe(proxy.haproxy.admin, tuple(wanted.maps))
        assert found.maps == wanted.maps
        assert set(found.servers.values()) == {Admin.READY}
