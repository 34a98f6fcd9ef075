"""HAProxy assigns as `assign` says, and the edge log tells what it did."""

import asyncio
import json
import random
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.event import VisitorId
from balancer.domain.routing import RouteTable
from balancer.domain.split import Phase, Split, SplitId, SplitState, assign
from browsing import Answer, Browser
from contract.proxies import Proxy, app_route, haproxy, instance, swift_instances
from pipelining import Pipeline
from waiting import until

pytestmark = pytest.mark.anyio
PHASES = (
    {"master": 9500, "test": 500, "third": 0},
    {"master": 6999, "test": 3000, "third": 1},
    {"master": 3334, "test": 3333, "third": 3333},
)
AT = "1700000000000"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test, instance("third") as third:
        yield {"master": master, "test": test, "third": third}


def table(ports: dict[str, int], split: str = "s7", weights: tuple[dict[str, int], ...] = PHASES) -> RouteTable:
    shop = app_route("shop", {branch: [port] for branch, port in ports.items()}, split=split, weights=weights)
    return RouteTable(apps=(shop, app_route("blog", {"master": [ports["third"]]})))


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, table(ports)) as started:
        yield started


def a_split(identity: str, weights: tuple[dict[str, int], ...]) -> Split:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    phases = [
        Phase(number=n, weights={BranchName(b): w for b, w in phase.items()}, started_at=started)
        for n, phase in enumerate(weights, 1)
    ]
    return Split(
        id=SplitId(identity),
        app=AppName("shop"),
        control=BranchName("master"),
        phases=tuple(phases),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )


def random_ids(count: int) -> Iterator[str]:
    dice = random.Random(7)
    return (str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(count))


def sequential_ids(count: int) -> Iterator[str]:
    return (str(uuid.UUID(int=number)) for number in range(1, count + 1))


def ids_in_order_of_time(count: int) -> Iterator[str]:
    """Version 7 (RFC 9562): milliseconds first, three visitors in each."""
    dice = random.Random(8)
    for number in range(count):
        at = int(AT) + number // 3
        yield str(uuid.UUID(int=at << 80 | 0x7 << 76 | 0x2 << 62 | dice.getrandbits(62)))


def ids_of_one_machine(count: int) -> Iterator[str]:
    """Version 1 (RFC 9562): one machine's address, and steps of 100 ns."""
    for number in range(count):
        at = 0x1EE_0000_0000_0000 + number
        yield str(uuid.UUID(fields=(at & 0xFFFFFFFF, at >> 32 & 0xFFFF, at >> 48 | 0x1000, 0x80, 7, 0x0242AC110002)))


SHAPES = (random_ids, sequential_ids, ids_in_order_of_time, ids_of_one_machine)
_INSTANCE = re.compile(rb"\r\nx-instance: (\w+)", re.IGNORECASE)
_VARIANT = re.compile(rb"\r\nset-cookie: balancer=[0-9a-f-]{36}\.s[0-9]+\.(\w+)\.3\.1\.", re.IGNORECASE)
# 100 requests at a time: about 20 KB, which HAProxy reads at once.
PIPELINED = 100


def ask(port: int, visitors: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Return which instance each visitor, known from an earlier split, was answered by, and the variant they keep."""
    pipeline, seen = Pipeline(port), []
    for start in range(0, len(visitors), PIPELINED):
        requests = [
            f"GET / HTTP/1.1\r\nHost: shop.localhost\r\nCookie: balancer={visitor}.s1.master.1.1.{AT}\r\n\r\n".encode()
            for visitor in visitors[start : start + PIPELINED]
        ]
        seen += [(answer.first(_INSTANCE), answer.first(_VARIANT)) for answer in pipeline.ask(requests)]
    pipeline.close()
    return seen


async def get(proxy: Proxy, cookie: str | None = None, host: str = "shop.localhost", path: str = "/") -> Answer:
    return await anyio.to_thread.run_sync(Browser(proxy.port, host, cookie).get, path)


async def lines_of(proxy: Proxy, count: int) -> list[dict[str, object]]:
    """Return the lines of the edge log once there are so many: one is written just after its answer."""
    await anyio.to_thread.run_sync(until, lambda: len(proxy.edge_lines()) >= count, 30)
    return proxy.edge_lines()


@pytest.mark.parametrize(("identity", "count"), [("s7", 100_000), ("s65535", 4000)])
async def test_haproxy_and_assign_agree_on_a_hundred_thousand_visitors(
    tmp_path: Path, identity: str, count: int
) -> None:
    visitors = [visitor for shape in SHAPES for visitor in shape(count // len(SHAPES))]
    split = a_split(identity, PHASES)
    with swift_instances(tmp_path, "master", "test", "third") as swift:
        async with haproxy(tmp_path, table(swift, identity)) as proxy:
            halves = [asyncio.to_thread(ask, proxy.port, visitors[half::2]) for half in (0, 1)]
            even, odd = await asyncio.gather(*halves)
    seen = [pair for both in zip(even, odd, strict=True) for pair in both]
    expected = [str(assign(split, VisitorId(visitor))) for visitor in visitors]
    assert len(set(visitors)) == len(seen) == count
    assert seen == [(variant, variant) for variant in expected]
    for start in range(0, count, count // len(SHAPES)):
        assert set(expected[start : start + count // len(SHAPES)]) == {"master", "test", "third"}


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "garbage",
        f"{uuid.UUID(int=5)}.s7.test.1.1",
        f"{uuid.UUID(int=5)}.s7.test.1.1.{AT}x",
        f"{uuid.UUID(int=5)}.s7.te\u00dft.1.1.{AT}",
        f"not-a-uuid-not-a-uuid-not-a-uuid-1234.s7.test.1.1.{AT}",
        f"{uuid.UUID(int=5)}.s7.test.1.7.{AT}",
        "x" * 4000,
    ],
)
async def test_a_cookie_that_does_not_parse_is_ignored_before_anything_is_made_of_it(proxy: Proxy, cookie: str) -> None:
    answer = await get(proxy, cookie.encode().decode("latin-1") or None)
    assert answer.status == 200
    headers = json.loads(answer.body)["headers"]
    assert str(uuid.UUID(headers["x-balancer-visitor"])) != str(uuid.UUID(int=5))
    assert answer.headers["Set-Cookie"].startswith(f"balancer={headers['x-balancer-visitor']}.s7.")
    assert proxy.edge_lines() == []


async def test_a_cookie_of_a_variant_that_the_split_has_not_is_assigned_anew(proxy: Proxy) -> None:
    visitor = str(uuid.UUID(int=77))
    answer = await get(proxy, f"{visitor}.s7.nonesuch.1.1.{AT}")
    expected = assign(a_split("s7", PHASES), VisitorId(visitor))
    assert json.loads(answer.body)["instance"] == expected
    assert f"{visitor}.s7.{expected}.3.1." in answer.headers["Set-Cookie"]


async def test_no_cookie_of_one_app_reaches_a_backend_of_another(proxy: Proxy) -> None:
    for host in ("blog.localhost", "master--blog.localhost"):
        for flag in "01":
            answer = await get(proxy, f"{uuid.UUID(int=1)}.s7.test.1.{flag}.{AT}", host)
            assert json.loads(answer.body)["instance"] == "third", "that is blog's only instance"
    nowhere = await get(proxy, f"{uuid.UUID(int=1)}.s7.test.1.1.{AT}", "other.localhost")
    assert nowhere.status == 404


async def test_a_returning_visitor_keeps_phase_and_time_of_the_assignment(proxy: Proxy) -> None:
    visitor = str(uuid.UUID(int=9))
    answer = await get(proxy, f"{visitor}.s7.test.1.0.{AT}")
    assert json.loads(answer.body)["instance"] == "test"
    assert f"balancer={visitor}.s7.test.1.1.{AT};" in answer.headers["Set-Cookie"]
    (line,) = await lines_of(proxy, 1)
    assert (line["exposed"], line["cookie"]) == ("1", f"{visitor}.s7.test.1.1.{AT}")
    again = await get(proxy, f"{visitor}.s7.test.1.1.{AT}")
    assert again.headers["Set-Cookie"] is None
    await get(proxy, f"{visitor}.s7.test.1.1.{AT}", path="/fail")
    assert len(await lines_of(proxy, 2)) == 2, "a counted visitor's ordinary answer leaves no line"


async def test_the_app_is_told_of_visitor_split_and_branch_and_by_nobody_else(proxy: Proxy) -> None:
    visitor = str(uuid.UUID(int=9))
    forged = {"X-Balancer-Visitor": "me", "X-Balancer-Split": "s0", "X-Balancer-Branch": "x"}
    for cookie in (None, f"{visitor}.s7.test.1.1.{AT}", f"{visitor}.s7.test.1.0.{AT}"):
        browser = Browser(proxy.port, "shop.localhost", cookie)
        answer = await anyio.to_thread.run_sync(browser.request, "GET", "/", None, forged)
        told = json.loads(answer.body)["headers"]
        assert told["x-balancer-split"] == "s7"
        assert told["x-balancer-branch"] == json.loads(answer.body)["instance"]
        assert told["x-balancer-visitor"] == (visitor if cookie else told["x-balancer-visitor"]) != "me"
    blog = Browser(proxy.port, "blog.localhost")
    answer = await anyio.to_thread.run_sync(blog.request, "GET", "/", None, forged)
    assert not [name for name in json.loads(answer.body)["headers"] if name.startswith("x-balancer")]


async def test_events_and_failures_leave_a_line_on_the_short_way_too(proxy: Proxy) -> None:
    visitor = str(uuid.UUID(int=9))
    cookie = f"{visitor}.s7.test.1.1.{AT}"
    assert (await get(proxy, cookie, path="/event")).headers["Balancer-Event"] is None
    await get(proxy, cookie, path="/fail")
    event, failure = await lines_of(proxy, 2)
    assert (event["event"], event["backend"], event["cookie"]) == ("purchase=1.5, signup", "test--shop", cookie)
    assert (failure["status"], failure["cookie"], failure["event"]) == (503, cookie, "-")


async def test_a_header_of_events_that_is_too_long_leaves_a_line_that_says_so(proxy: Proxy) -> None:
    cookie = f"{uuid.UUID(int=9)}.s7.test.1.1.{AT}"
    for length in (8192, 8193, 14_000):
        assert (await get(proxy, cookie, path=f"/events={length}")).status == 200
    assert [line["event"] for line in await lines_of(proxy, 3)] == ["e" * 8192, "!", "!"]


async def test_html_is_private_while_a_split_runs(proxy: Proxy) -> None:
    for cookie in (None, f"{uuid.UUID(int=9)}.s7.test.1.1.{AT}"):
        assert (await get(proxy, cookie)).headers["Cache-Control"] == "private"
        assert "public" not in (await get(proxy, cookie, path="/public")).headers["Cache-Control"]
    assert (await get(proxy, host="blog.localhost", path="/public")).headers["Cache-Control"] == "public, max-age=60"


async def test_a_beacon_is_answered_by_haproxy_and_logged_with_its_body(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "shop.localhost", f"{uuid.UUID(int=9)}.s7.test.1.0.{AT}")
    body = '{"name": "né", "value": 1}\n"\\'.encode() + b"\xff"
    answer = await anyio.to_thread.run_sync(lambda: browser.request("POST", "/_balancer/events", body))
    assert answer.status == 204
    (line,) = await lines_of(proxy, 1)
    assert line["body"] == '{"name": "né", "value": 1}\n"\\'
    assert line["exposed"] == "1", "a beacon brings the cookie back as well"
    assert ".1.1." in answer.headers["Set-Cookie"]
    large = await anyio.to_thread.run_sync(lambda: browser.request("POST", "/_balancer/events", b"x" * 9000))
    assert large.status == 413


async def test_a_beacon_of_a_counted_visitor_is_the_same_and_no_exposure(proxy: Proxy) -> None:
    visitor = f"{uuid.UUID(int=9)}.s7.test.1.1.{AT}"
    browser = Browser(proxy.port, "shop.localhost", visitor)

    async def sent(body: bytes, path: str = "/_balancer/events") -> Answer:
        return await anyio.to_thread.run_sync(lambda: browser.request("POST", path, body))

    body = '{"name": "né"}\n"\\'.encode()
    answer = await sent(body)
    assert (answer.status, answer.body, answer.headers["Set-Cookie"]) == (204, "", None)
    (line,) = await lines_of(proxy, 1)
    assert (line["body"], line["cookie"], line["backend"]) == (body.decode(), visitor, "test--shop")
    assert line["exposed"] == "-"
    assert (await sent(b"x" * 8192)).status == 204
    assert (await sent(b"x" * 8193)).status == 413
    assert (await sent(b"")).status == 204
    assert json.loads((await sent(b"{}", "/events")).body)["instance"] == "test"
    assert (await get(proxy, visitor, path="/_balancer/events")).status == 405


async def test_headers_of_our_kind_reach_no_app(proxy: Proxy) -> None:
    for cookie in (None, f"{uuid.UUID(int=9)}.s7.test.1.1.{AT}"):
        browser = Browser(proxy.port, "shop.localhost", cookie)
        forged = {"x-balancer-VISITOR": "me", "X-Balancer-Anything": "more"}
        answer = await anyio.to_thread.run_sync(browser.request, "GET", "/", None, forged)
        told = json.loads(answer.body)["headers"]
        assert "x-balancer-anything" not in told
        assert told["x-balancer-visitor"] != "me"


async def test_weights_change_without_a_reload_and_who_has_a_branch_keeps_it(
    proxy: Proxy, ports: dict[str, int]
) -> None:
    cookie = f"{uuid.UUID(int=9)}.s7.test.2.1.{AT}"
    await proxy.haproxy.apply(table(ports, weights=(*PHASES, {"master": 10_000, "test": 0, "third": 0})))
    assert json.loads((await get(proxy, cookie)).body)["instance"] == "test"
    fresh = [json.loads((await get(proxy)).body)["instance"] for _ in range(20)]
    assert set(fresh) == {"master"}
    assert (await get(proxy)).headers["Set-Cookie"].split(".")[3] == "4"


async def test_a_host_is_one_however_it_is_written(proxy: Proxy) -> None:
    for host in ("shop.localhost", "SHOP.Localhost", "shop.localhost.", "shop.localhost:80"):
        assert (await get(proxy, host=host)).status == 200
    assert (await get(proxy, host="shop.localhost,blog.localhost")).status == 400
