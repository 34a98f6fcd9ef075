"""Clients without cookies that hammer what fails: each address is one visitor in error, however often it asks."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.routing import RouteTable
from browsing import Answer, Browser
from contract.proxies import Proxy, app_route, haproxy, instance
from waiting import until

pytestmark = pytest.mark.anyio
AT = "1700000000000"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test:
        yield {"master": master, "test": test}


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    """A shop whose new visitors are all assigned `test`, behind a proxy that is trusted."""
    branches = {branch: [port] for branch, port in ports.items()}
    route = app_route("shop", branches, split="s7", weights=({"master": 0, "test": 10_000},))
    async with haproxy(tmp_path, RouteTable(apps=(route,)), trusted_proxies=["127.0.0.1/32"]) as started:
        yield started


async def fail(proxy: Proxy, address: str, *, cookie: str | None = None) -> Answer:
    """Ask for what fails, as a client of this address, which is new where it has no cookie."""
    browser = Browser(proxy.port, "shop.localhost", cookie)
    answer = await anyio.to_thread.run_sync(lambda: browser.get("/fail", **{"X-Forwarded-For": address}))
    assert answer.status == 503
    return answer


async def in_error(proxy: Proxy, lines: int) -> int:
    """Return of how many of so many lines the ledger will know whose they are."""
    await anyio.to_thread.run_sync(until, lambda: len(proxy.edge_lines()) >= lines, 30)
    found = proxy.edge_lines()
    assert len(found) == lines
    return sum(line["cookie"] != "-" for line in found)


async def test_one_address_is_one_visitor_in_error_and_others_are_others(proxy: Proxy) -> None:
    for _ in range(20):
        await fail(proxy, "203.0.113.7")
    assert await in_error(proxy, 20) == 1
    for last in range(5):
        await fail(proxy, f"198.51.100.{last}")
    assert await in_error(proxy, 25) == 6


async def test_of_ipv6_those_of_one_network_are_one(proxy: Proxy) -> None:
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"):
        await fail(proxy, address)
    assert await in_error(proxy, 3) == 2


async def test_whoever_brings_their_cookie_back_counts_whatever_the_address_did(proxy: Proxy) -> None:
    await fail(proxy, "203.0.113.7")
    for number in range(3):
        await fail(proxy, "203.0.113.7", cookie=f"{uuid.UUID(int=number + 1)}.s7.test.1.1.{AT}")
        await fail(proxy, "203.0.113.7", cookie=f"{uuid.UUID(int=number + 9)}.s7.test.1.0.{AT}")
    assert await in_error(proxy, 7) == 7


async def test_addresses_of_an_inner_network_are_no_clients_and_count_each_time(proxy: Proxy) -> None:
    for _ in range(4):
        await fail(proxy, "10.0.0.7")
    assert await in_error(proxy, 4) == 4
