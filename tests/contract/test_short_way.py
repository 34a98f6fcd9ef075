"""A request takes the short way or the long one, and nobody can tell: no visitor, no app, not the edge log."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.routing import RouteTable
from browsing import Browser
from contract.proxies import Proxy, app_route, haproxy, instance
from waiting import until

pytestmark = pytest.mark.anyio
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
VISITOR = str(uuid.UUID(int=5))
# What no ordinary request has, and no app is told.
LONG = {"X-Real-IP": "192.0.2.1"}
PATHS = ("/", "/event", "/public", "/pricing/plans", "/events=9000", "/styles.css?a=b")
COOKIES = (None, *(f"{VISITOR}.s7.test.1.{flag}.1700000000000" for flag in "01"))
# A new visitor who is in error counts once an hour: the second of the two would not.
CASES = [
    *((cookie, path, PHONE) for cookie in COOKIES for path in PATHS),
    *((cookie, "/fail", DESKTOP) for cookie in COOKIES if cookie),
    *((cookie, "/", BOT) for cookie in COOKIES),
]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test:
        yield {"master": master, "test": test}


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    weights = ({"master": 0, "test": 10_000},)
    shop = app_route("shop", {branch: [port] for branch, port in ports.items()}, split="s7", weights=weights)
    blog = app_route("blog", {"master": [ports["master"]]})
    async with haproxy(tmp_path, RouteTable(apps=(shop, blog))) as started:
        yield started


def masked(text: str) -> str:
    """Return a text without what is drawn or of this moment: the ids of new visitors, and since when they are."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "NEW", text)
    return re.sub(r"(NEW\.s7\.test\.1\.0)\.[0-9]{13}", r"\1.AT", text)


def meant(line: Mapping[str, object]) -> dict[str, object]:
    """Return a line without its number and times; of an app that it does not name the backend tells."""
    app = line["app"] if line["app"] != "-" else str(line["backend"]).partition("--")[2]
    return {**line, "app": app, "n": 0, "t": 0, "ms": 0}


async def seen(
    proxy: Proxy, app: str, cookie: str | None, path: str, headers: Mapping[str, str], number: int
) -> tuple[object, ...]:
    """Return what a visitor gets, what the app is told, and what the edge log says."""
    before = len(proxy.edge_lines())
    browser = Browser(proxy.port, f"{app}.localhost", cookie)
    answer = await anyio.to_thread.run_sync(lambda: browser.get(path, **headers))
    # What comes after it in the log says that it is whole.
    last = Browser(proxy.port, "shop.localhost", f"{uuid.UUID(int=1000 + number)}.s7.test.1.1.1700000000000")
    await anyio.to_thread.run_sync(lambda: last.get("/event"))
    ends = str(uuid.UUID(int=1000 + number))
    await anyio.to_thread.run_sync(until, lambda: ends in str(proxy.edge_lines()[-1:]), 30)
    lines = [meant(line) for line in proxy.edge_lines()[before:-1]]
    told = json.loads(answer.body)
    return (
        answer.status,
        answer.headers["Set-Cookie"] and masked(answer.headers["Set-Cookie"]),
        told["instance"],
        {name: masked(value) for name, value in told["headers"].items()},
        masked(json.dumps(lines)),
        answer.headers["Cache-Control"],
    )


async def test_both_ways_answer_tell_and_note_the_same(proxy: Proxy) -> None:
    for number, (app, (cookie, path, agent)) in enumerate((app, case) for app in ("shop", "blog") for case in CASES):
        headers = {"User-Agent": agent}
        short = await seen(proxy, app, cookie, path, headers, 2 * number)
        assert short == await seen(proxy, app, cookie, path, headers | LONG, 2 * number + 1), (app, cookie, path, agent)
