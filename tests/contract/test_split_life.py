"""What a split's state, weights, audience and hold-out mean for visitors, at the proxy."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.allocation import BUCKETS, room_beside
from balancer.domain.app import BranchName
from balancer.domain.audience import Audience, HeaderCondition, HeaderName
from balancer.domain.routing import RouteTable, SplitRoute, route_table
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Brief, Split, SplitState
from balancer.proxy import runtime
from browsing import Browser
from contract.proxies import Proxy, haproxy, instance
from values import LOCALHOST, app, release, split
from values import instance as an_instance
from waiting import until

pytestmark = pytest.mark.anyio
EVEN, ALL_TEST = {"master": 5000, "test": 5000}, {"master": 0, "test": 10_000}
GERMANS = Audience(headers=(HeaderCondition(name=HeaderName("CF-IPCountry"), values=("DE", "AT")),))


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test, instance("third") as third:
        yield {"master": master, "test": test, "third": third}


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, table(ports, split(EVEN))) as started:
        yield started


def table(ports: Mapping[str, int], running: Split | None) -> RouteTable:
    """Return what follows from an app whose branches are live, and its split."""
    live = [release(number, branch) for number, branch in enumerate(ports, 1)]
    instances = [an_instance(10 + each.number, each, port=ports[each.branch]) for each in live]
    splits = (running,) if running else ()
    snapshot = Snapshot(apps=(app(),), releases=tuple(live), instances=tuple(instances), splits=splits)
    return route_table(snapshot, LOCALHOST)


def stranger(proxy: Proxy) -> Browser:
    return Browser(proxy.port, "shop.localhost")


async def seen(browser: Browser, path: str = "/", **headers: str) -> str:
    """Return which branch's instance answered."""
    body = (await anyio.to_thread.run_sync(lambda: browser.get(path, **headers))).body
    return body.split('"')[3]


async def counted_visitors(proxy: Proxy, number: int) -> list[Browser]:
    browsers = [stranger(proxy) for _ in range(number)]
    for browser in browsers:
        assert await seen(browser) == await seen(browser) == browser.variant
    return browsers


async def test_a_paused_split_keeps_those_it_has_and_takes_none(proxy: Proxy, ports: dict[str, int]) -> None:
    before = await counted_visitors(proxy, 24)
    assert {browser.variant for browser in before} == {"master", "test"}
    worker = (await proxy.haproxy.worker()).pid
    await proxy.haproxy.apply(table(ports, replace(split(EVEN), state=SplitState.PAUSED)))
    for browser in before:
        assert await seen(browser) == browser.variant
    late = [stranger(proxy) for _ in range(24)]
    assert {await seen(browser) for browser in late} == {"master"}
    assert not any(browser.cookies for browser in late)
    await proxy.haproxy.apply(table(ports, split(EVEN)))
    assert {await seen(browser) for browser in late} == {"master", "test"}
    assert (await proxy.haproxy.worker()).pid == worker, "no reload"


async def test_a_ramp_moves_nobody_out_of_the_branch_they_have(proxy: Proxy, ports: dict[str, int]) -> None:
    phases = [{"master": 9500, "test": 500}, {"master": 8000, "test": 2000}, EVEN]
    visitors: list[Browser] = []
    for number in range(1, 4):
        await proxy.haproxy.apply(table(ports, split(*phases[:number])))
        for browser in visitors:
            assert await seen(browser) == browser.variant
        visitors += await counted_visitors(proxy, 40)
    assert Counter(browser.variant for browser in visitors)["test"] > 0


async def test_visitors_of_a_branch_of_weight_0_are_assigned_anew_once_where_others_share_the_weight(
    proxy: Proxy, ports: dict[str, int]
) -> None:
    without = {"master": 0, "test": 5000, "third": 5000}
    three = {"master": 3334, "test": 3333, "third": 3333}
    await proxy.haproxy.apply(table(ports, split(three)))
    visitors = await counted_visitors(proxy, 24)
    was = [(browser, browser.variant, browser.cookie.split(".")[0]) for browser in visitors]
    assert {variant for _, variant, _ in was} == {"master", "test", "third"}
    await proxy.haproxy.apply(table(ports, split(three, without)))
    for browser, variant, visitor in was:
        assert await seen(browser) == browser.variant != "master"
        assert browser.cookie.startswith(f"{visitor}.s1.")
        assert variant in {"master", browser.variant}
    moved = [(browser, browser.variant) for browser, variant, _ in was if variant == "master"]
    await proxy.haproxy.apply(table(ports, split(three, without, three)))
    for browser, to in moved:
        assert await seen(browser) == to, "moved once, and not back"
    phases = {variant: {b.cookie.split(".")[3] for b, v, _ in was if v == variant} for variant in ("master", "test")}
    assert phases == {"master": {"2"}, "test": {"1"}}, "only those of the branch without weight have another assignment"


@pytest.mark.parametrize("only", ["master", "test"])
async def test_where_one_branch_has_all_the_weight_everybody_sees_it_and_keeps_their_assignment(
    proxy: Proxy, ports: dict[str, int], only: str
) -> None:
    visitors = await counted_visitors(proxy, 16)
    assert {browser.variant for browser in visitors} == {"master", "test"}
    cookies = [browser.cookie for browser in visitors]
    alone = {branch: 10_000 if branch == only else 0 for branch in EVEN}
    worker = (await proxy.haproxy.worker()).pid
    await proxy.haproxy.apply(table(ports, split(EVEN, alone)))
    assert {await seen(browser) for browser in visitors} == {only}
    assert [browser.cookie for browser in visitors] == cookies
    assert {await seen(stranger(proxy)) for _ in range(8)} == {only}
    await proxy.haproxy.apply(table(ports, split(EVEN, alone, EVEN)))
    for browser in visitors:
        assert await seen(browser) == browser.variant
    assert (await proxy.haproxy.worker()).pid == worker, "no reload"


async def test_visitors_of_a_removed_branch_go_to_what_remains(proxy: Proxy, ports: dict[str, int]) -> None:
    three = {"master": 3334, "test": 3333, "third": 3333}
    await proxy.haproxy.apply(table(ports, split(three)))
    visitors = await counted_visitors(proxy, 30)
    gone = {branch: port for branch, port in ports.items() if branch != "third"}
    await proxy.haproxy.apply(table(gone, split(three, {"master": 6667, "test": 3333})))
    for browser in visitors:
        was = browser.variant
        assert await seen(browser) == browser.variant == ("master" if was == "third" else was)


async def test_a_split_that_is_over_shows_the_winner_in_the_default_branchs_place(
    proxy: Proxy, ports: dict[str, int]
) -> None:
    visitors = await counted_visitors(proxy, 6)
    worker = (await proxy.haproxy.worker()).pid
    snapshot = table(ports, None)
    won = replace(snapshot.apps[0], default_backend="test--shop")
    await proxy.haproxy.apply(RouteTable(apps=(won,)))
    assert {await seen(browser) for browser in [*visitors, stranger(proxy)]} == {"test"}
    assert (await proxy.haproxy.worker()).pid == worker, "no reload"


@pytest.mark.parametrize("path", ["/checkout", "/checkout/", "/checkout/pay?x=1", "/checkouts"])
async def test_who_asks_for_a_path_of_the_audience_is_assigned_and_stays_so(
    path: str, proxy: Proxy, ports: dict[str, int]
) -> None:
    asked = replace(split(ALL_TEST), brief=Brief(audience=Audience(path="/checkout")))
    await proxy.haproxy.apply(table(ports, asked))
    browser = stranger(proxy)
    for elsewhere in ("/", "/check", "/x/checkout", "/CHECKOUT"):
        assert await seen(browser, elsewhere) == "master"
        assert not browser.cookies
    assert await seen(browser, path) == "test"
    for elsewhere in ("/", "/check"):
        assert await seen(browser, elsewhere) == "test"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"CF_IPCountry": "DE"}, "test"),
        ({"CF_IPCountry": "at"}, "test"),
        ({"cf_ipcountry": " AT "}, "test"),
        ({"CF_IPCountry": "FR"}, "master"),
        ({"CF_IPCountry": "DEU"}, "master"),
        ({"CF_IPCountry": ""}, "master"),
        ({}, "master"),
        ({"X_CF_IPCountry": "DE"}, "master"),
        ({"X_Other": "a/cf-ipcountry: DE"}, "master"),
    ],
)
async def test_who_has_a_header_of_the_audience_is_assigned(
    headers: dict[str, str], expected: str, proxy: Proxy, ports: dict[str, int]
) -> None:
    await proxy.haproxy.apply(table(ports, replace(split(ALL_TEST), brief=Brief(audience=GERMANS))))
    assert await seen(stranger(proxy), **headers) == expected


async def test_an_audience_wants_all_that_it_names(proxy: Proxy, ports: dict[str, int]) -> None:
    beta = HeaderCondition(name=HeaderName("X-Beta"), values=("yes; very (much) .*",))
    audience = Audience(path="/shop", headers=(*GERMANS.headers, beta))
    await proxy.haproxy.apply(table(ports, replace(split(ALL_TEST), brief=Brief(audience=audience))))
    right = {"CF_IPCountry": "DE", "X_Beta": "yes; very (much) .*"}
    assert await seen(stranger(proxy), "/shop", **right) == "test"
    assert await seen(stranger(proxy), "/shop", **dict(reversed(right.items()))) == "test"
    for path, headers in (("/", right), ("/shop", {"CF_IPCountry": "DE"}), ("/shop", {**right, "X_Beta": "yes; very"})):
        assert await seen(stranger(proxy), path, **headers) == "master"


async def test_held_out_visitors_see_the_default_branch_for_good_and_are_as_many_as_asked(
    proxy: Proxy, ports: dict[str, int]
) -> None:
    held = replace(split(ALL_TEST), brief=Brief(held_out=2500))
    await proxy.haproxy.apply(table(ports, held))
    found: Counter[str] = Counter()
    for number in range(400):
        browser = Browser(proxy.port, "shop.localhost", f"{uuid.UUID(int=number)}.s9.test.1.1.1700000000000", kept=True)
        branch = await seen(browser)
        found[branch] += 1
        if found["master"] == 1 and branch == "master":
            answer = await anyio.to_thread.run_sync(browser.get)
            assert '"x-balancer-split"' not in answer.body
            assert browser.cookie.split(".")[1:5] == ["s1", "-", "1", "1"]
            await proxy.haproxy.apply(table(ports, replace(split(ALL_TEST, EVEN), brief=Brief(held_out=2500))))
            assert await seen(browser) == "master"
            await proxy.haproxy.apply(table(ports, held))
        browser.close()
    assert 70 <= found["master"] <= 130, "a quarter of 400, five standard deviations"


def test_the_buckets_that_are_held_out_are_those_of_nobody() -> None:
    held = replace(split(EVEN), brief=Brief(held_out=1000))
    route = table({"master": 1, "test": 2}, held).apps[0].split
    assert isinstance(route, SplitRoute)
    assert route.held_out == (room_beside(1000), BUCKETS)
    assert max(piece.stop for piece in route.allocation) == room_beside(1000) == 58_982
    assert {piece.variant for piece in route.allocation} == {BranchName("master"), BranchName("test")}


async def test_twenty_first_requests_at_once_of_one_browser_count_one_visitor(proxy: Proxy) -> None:
    async def first(answers: list[Browser]) -> None:
        browser = stranger(proxy)
        await seen(browser)
        answers.append(browser)

    answers: list[Browser] = []
    async with anyio.create_task_group() as at_once:
        for _ in range(20):
            at_once.start_soon(first, answers)
    jar = answers[-1]  # the cookie that came last is the one that a browser has
    for _ in range(3):
        await seen(jar)
    await anyio.to_thread.run_sync(until, lambda: proxy.edge_lines(), 30)
    await seen(jar, "/event")
    await anyio.to_thread.run_sync(until, lambda: len(proxy.edge_lines()) >= 2, 30)
    assert [line["exposed"] for line in proxy.edge_lines()] == ["1", "-"]


async def test_an_app_that_sets_many_cookies_keeps_them_beside_ours(proxy: Proxy) -> None:
    browser = stranger(proxy)
    answer = await anyio.to_thread.run_sync(browser.get, "/cookies")
    cookies = answer.headers.get_all("Set-Cookie") or []
    assert [each for each in cookies if not each.startswith("balancer=")] == [f"c{n}={n}; Path=/" for n in range(50)]
    assert len(cookies) == 51


async def test_new_weights_of_one_of_100_splits_are_in_force_when_the_call_returns_and_without_a_reload(
    tmp_path: Path, ports: dict[str, int]
) -> None:
    def hundred(weights: dict[str, int]) -> RouteTable:
        apps = [app(f"shop{number}") for number in range(100)]
        live = [
            release(2 * number + place, branch, app=f"shop{number}")
            for number in range(100)
            for place, branch in enumerate(("master", "test"), 1)
        ]
        instances = [an_instance(each.number, each, port=ports[each.branch]) for each in live]
        splits = [split(EVEN, number=number + 1, app=f"shop{number}") for number in range(1, 100)]
        splits.append(split(EVEN, weights, number=1, app="shop0"))
        snapshot = Snapshot(apps=tuple(apps), releases=tuple(live), instances=tuple(instances), splits=tuple(splits))
        return route_table(snapshot, LOCALHOST)

    async with haproxy(tmp_path, hundred(EVEN)) as proxy:
        worker = (await runtime.worker(proxy.haproxy.admin)).pid
        browser = Browser(proxy.port, "shop0.localhost")
        for weights, expected in ((ALL_TEST, "test"), ({"master": 10_000, "test": 0}, "master")):
            await proxy.haproxy.apply(hundred(weights))
            browser.cookies.clear()
            assert await seen(browser) == expected
        assert (await runtime.worker(proxy.haproxy.admin)).pid == worker
