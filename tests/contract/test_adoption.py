"""A daemon that restarts finds the running HAProxy, with or without the right to a copy of its sockets."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
import pytest

import reserved
from balancer.domain.routing import RouteTable
from balancer.proxy import listener, runtime
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.installed import find_executable
from balancer.proxy.life import ProxyLife
from browsing import Browser
from contract.proxies import app_route, instance

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with instance("one") as number:
        yield number


def not_permitted(pid: int, number: int) -> object:
    raise PermissionError(1, "Operation not permitted")


def life_of(directory: Path, site: int) -> tuple[HAProxy, ProxyLife]:
    driver = HAProxy(directory / "haproxy", executable=find_executable("haproxy"), maxconn=2000)
    return driver, ProxyLife(driver, edge=directory / "edge", host="127.0.0.1", port=site)


def read(site: int, host: str) -> str:
    answer = Browser(site, host).get()
    return str(json.loads(answer.body)["instance"]) if answer.status == 200 else str(answer.status)


@pytest.mark.parametrize("permitted", [True, False])
async def test_a_running_haproxy_is_adopted_reloaded_and_replaced_when_it_dies(
    tmp_path: Path, port: int, permitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site,) = reserved.ports(1)
    shop, blog = app_route("shop", {"master": [port]}), app_route("blog", {"master": [port]})
    _, first = life_of(tmp_path, site)
    await first.begin(RouteTable(apps=(shop,)))
    first.abandon()
    if not permitted:
        monkeypatch.setattr(listener, "take", not_permitted)
    driver, second = life_of(tmp_path, site)
    await second.begin(RouteTable(apps=(shop,)))
    master = int((await runtime.ask(driver.master, "show proc")).splitlines()[1].split()[0])
    alive = asyncio.ensure_future(second.keep_alive())
    try:
        await driver.apply(RouteTable(apps=(shop, blog)))
        assert await anyio.to_thread.run_sync(read, site, "blog.localhost") == "one"
        os.kill(master, signal.SIGKILL)
        async with asyncio.timeout(30):
            while await anyio.to_thread.run_sync(_try, site) != "one":
                await anyio.lowlevel.checkpoint()
    finally:
        alive.cancel()
        await asyncio.gather(alive, return_exceptions=True)
        await second.end(5.0)


def _try(site: int) -> str:
    try:
        return read(site, "blog.localhost")
    except OSError as reason:
        return type(reason).__name__
