"""What HAProxy tells of an exposure, to cut reports by; and that it tells nothing of other requests."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.entry import EXPOSURE, Batch
from balancer.domain.routing import RouteTable
from balancer.proxy.accesslog import read_line
from browsing import Browser
from contract.proxies import Proxy, app_route, haproxy, instance
from waiting import until

pytestmark = pytest.mark.anyio
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
ANDROID_PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36"
ANDROID_TABLET = "Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36"
IPAD = "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test:
        yield {"master": master, "test": test}


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    route = app_route(
        "shop", {branch: [port] for branch, port in ports.items()}, split="s7", weights=({"master": 0, "test": 10_000},)
    )
    async with haproxy(tmp_path, RouteTable(apps=(route,))) as started:
        yield started


def visitor(number: int) -> str:
    return f"{uuid.UUID(int=number)}.s7.test.1.0.1700000000000"


async def exposed(proxy: Proxy, number: int, path: str, **headers: str) -> dict[str, str]:
    """Return the dimensions of a visitor who comes back, after their first request."""
    browser = Browser(proxy.port, "shop.localhost", visitor(number))
    answer = await anyio.to_thread.run_sync(lambda: browser.get(path, **headers))
    assert answer.status == 200
    assert "balancer-dimension" not in {name.lower() for name in answer.headers}

    def lines() -> list[bytes]:
        return [line for line in proxy.edge_bytes() if str(uuid.UUID(int=number)).encode() in line]

    await anyio.to_thread.run_sync(until, lines, 30)
    batch = Batch()
    for line in lines():
        read_line(line, batch)
    (entry,) = (entry for entry in batch.entries if entry.name == EXPOSURE)
    return json.loads(entry.dims or "{}")  # type: ignore[no-any-return]


async def test_devices_are_told_by_the_browser(proxy: Proxy) -> None:
    seen = [
        (await exposed(proxy, number, "/", User_Agent=agent))["device"]
        for number, agent in enumerate((PHONE, ANDROID_PHONE, ANDROID_TABLET, IPAD, DESKTOP))
    ]
    assert seen == ["mobile", "mobile", "tablet", "tablet", "desktop"]


async def test_the_country_is_told_by_what_is_in_front(proxy: Proxy) -> None:
    assert (await exposed(proxy, 10, "/", CF_IPCountry="at"))["country"] == "AT"
    assert (await exposed(proxy, 11, "/", X_Country_Code="DE"))["country"] == "DE"
    assert (await exposed(proxy, 12, "/", CloudFront_Viewer_Country="FR", X_Country_Code="DE"))["country"] == "FR"
    assert "country" not in await exposed(proxy, 13, "/")
    assert "country" not in await exposed(proxy, 14, "/", CF_IPCountry=";;")


async def test_the_path_is_its_first_part_and_cannot_pretend_to_be_more(proxy: Proxy) -> None:
    assert await exposed(proxy, 20, "/pricing/plans", User_Agent=DESKTOP) == {
        "device": "desktop",
        "path": "/pricing",
        "plan": "pro",
    }
    assert (await exposed(proxy, 21, "/caf%C3%A9?x=1"))["path"] == "/café"
    assert await exposed(proxy, 22, "/x;plan=pro") == {"device": "desktop", "path": "/x;plan=pro"}


async def test_a_request_that_is_no_exposure_tells_nothing(proxy: Proxy) -> None:
    counted = Browser(proxy.port, "shop.localhost", f"{uuid.UUID(int=30)}.s7.test.1.1.1700000000000")
    await anyio.to_thread.run_sync(lambda: counted.get("/event", User_Agent=PHONE))
    await anyio.to_thread.run_sync(until, proxy.edge_lines, 30)
    assert [line["about"] for line in proxy.edge_lines()] == ["-"]
