"""Who is served and never counted: those who test, who has not agreed, who is no person, who only looks ahead."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.manifest import Privacy
from balancer.domain.routing import AppRoute, RouteTable
from browsing import Answer, Browser
from contract.proxies import Proxy, app_route, haproxy, instance
from waiting import until

pytestmark = pytest.mark.anyio
KEY, OTHER_KEY = "p00000000000000aa", "p00000000000000bb"
ALL_TEST = ({"master": 0, "test": 10_000},)
AT = "1700000000000"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with instance("master") as master, instance("test") as test:
        yield {"master": master, "test": test}


@pytest.fixture
async def proxy(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, RouteTable(apps=(shop(ports),))) as started:
        yield started


def shop(ports: dict[str, int], privacy: Privacy | None = None) -> AppRoute:
    """Return a shop whose new visitors are all assigned `test`, and whose control is `master`."""
    route = app_route("shop", {branch: [port] for branch, port in ports.items()}, split="s7", weights=ALL_TEST)
    previews = {f"{KEY}.{branch}": f"{branch}--shop" for branch in ports}
    return replace(route, previews=previews, privacy=privacy or route.privacy)


def counted(variant: str = "test", flag: str = "1") -> str:
    return f"{uuid.UUID(int=5)}.s7.{variant}.1.{flag}.{AT}"


async def get(browser: Browser, path: str = "/", **headers: str) -> Answer:
    return await anyio.to_thread.run_sync(lambda: browser.get(path, **headers))


async def logged(proxy: Proxy) -> list[dict[str, object]]:
    """Return the lines of the edge log before one that is made now, which comes last."""
    last = Browser(proxy.port, "shop.localhost", f"{uuid.UUID(int=9)}.s7.test.1.1.{AT}")
    last.cookies["balancer_consent"] = "1"
    await get(last, "/event")

    def has_come() -> bool:
        return any(str(uuid.UUID(int=9)) in str(line["cookie"]) for line in proxy.edge_lines())

    await anyio.to_thread.run_sync(until, has_come, 30)
    return proxy.edge_lines()[:-1]


def served(answer: Answer) -> str:
    return "master" if '"instance": "master"' in answer.body else "test"


BOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "facebookexternalhit/1.1",
    "kube-probe/1.29",
    "GoogleHC/1.0",
    "ELB-HealthChecker/2.0",
    "curl/8.5.0",
    "python-requests/2.31.0",
    "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0",
]
PEOPLE = [
    "",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 12; CUBOT NOTE 7) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
]


@pytest.mark.parametrize("agent", BOTS)
async def test_a_bot_is_served_the_control_and_gets_no_cookie(proxy: Proxy, agent: str) -> None:
    browser = Browser(proxy.port, "shop.localhost")
    answer = await get(browser, User_Agent=agent)
    assert served(answer) == "master"
    assert not browser.cookies
    assert "x-balancer" not in answer.body
    assert answer.headers["Cache-Control"] == "private"


@pytest.mark.parametrize("agent", PEOPLE)
async def test_a_person_is_assigned(proxy: Proxy, agent: str) -> None:
    browser = Browser(proxy.port, "shop.localhost")
    assert served(await get(browser, User_Agent=agent)) == "test"
    assert browser.variant == "test"


PREFETCHES = [{"Sec_Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X_Moz": "prefetch"}]


@pytest.mark.parametrize("headers", PREFETCHES)
async def test_what_only_looks_ahead_is_not_counted_and_shows_what_a_visitor_has(
    proxy: Proxy, headers: dict[str, str]
) -> None:
    stranger = Browser(proxy.port, "shop.localhost")
    assert served(await get(stranger, **headers)) == "master"
    assert not stranger.cookies
    visitor = Browser(proxy.port, "shop.localhost", counted(flag="0"))
    assert served(await get(visitor, **headers)) == "test"
    assert visitor.cookie == counted(flag="0"), "it is no exposure"
    assert await logged(proxy) == []


async def test_a_head_request_is_served_the_control_and_not_counted(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "shop.localhost")
    answer = await anyio.to_thread.run_sync(browser.request, "HEAD", "/event")
    assert answer.status == 501, "the instance, which is the control's, knows no HEAD"
    assert not browser.cookies


@pytest.mark.parametrize("cookie", [None, counted(flag="0"), counted(flag="1")])
async def test_a_head_request_of_a_browser_is_no_exposure_either(proxy: Proxy, cookie: str | None) -> None:
    browser = Browser(proxy.port, "shop.localhost", cookie)
    headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
    answer = await anyio.to_thread.run_sync(lambda: browser.request("HEAD", headers=headers))
    assert answer.headers["Set-Cookie"] is None
    assert [line["exposed"] for line in await logged(proxy)] == ["-"], "the instance's 501, and no more"


async def test_what_fails_at_the_host_of_one_branch_leaves_no_line(proxy: Proxy) -> None:
    for path in ("/fail", "/event"):
        await get(Browser(proxy.port, "test--shop.localhost"), path)
    assert await logged(proxy) == []


async def test_with_the_key_a_link_shows_a_branch_and_the_cookie_that_it_sets_goes_on_doing_so(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "shop.localhost")
    answer = await get(browser, f"/?balancer={KEY}.master")
    assert served(answer) == "master"
    assert '"x-balancer-branch": "master"' in answer.body
    assert "x-balancer-visitor" not in answer.body
    assert browser.cookies.keys() == {"balancer_preview"}
    assert served(await get(browser)) == "master"
    assert (await get(browser, "/event")).headers["Balancer-Event"] is None
    assert (await get(browser, "/?balancer=off")).status == 200
    assert browser.cookies["balancer_preview"]["max-age"] == "0"
    assert await logged(proxy) == [], "nobody was counted, no event, no exposure"


async def test_with_the_key_a_header_shows_a_branch_once(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "shop.localhost")
    assert served(await get(browser, X_Balancer_Branch=f"{KEY}.master")) == "master"
    assert not browser.cookies


@pytest.mark.parametrize("wish", [f"{OTHER_KEY}.master", "master", f"{KEY}.other", f"{KEY}.", "%00", "x" * 3000])
async def test_without_the_key_or_the_branch_a_wish_is_nothing(proxy: Proxy, wish: str) -> None:
    for ask in (f"/?balancer={wish}", "/"):
        browser = Browser(proxy.port, "shop.localhost")
        headers = {} if "?" in ask else {"X_Balancer_Branch": wish}
        answer = await get(browser, ask, **headers)
        assert served(answer) == "test"
        assert browser.cookies.keys() == {"balancer"}
        assert wish not in str(answer.headers)


async def test_a_counted_visitor_who_tests_sees_the_branch_and_is_afterwards_who_they_were(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "shop.localhost", counted())
    for path in (f"/?balancer={KEY}.master", "/", "/"):
        assert served(await get(browser, path)) == "master"
    assert browser.cookie == counted(flag="p")
    assert await logged(proxy) == []
    await get(browser, "/?balancer=off")
    del browser.cookies["balancer_preview"]  # as a browser does with what has no time left
    assert served(await get(browser)) == "test"
    assert browser.cookie == counted()


async def test_the_key_of_one_app_shows_nothing_of_another(tmp_path: Path, ports: dict[str, int]) -> None:
    blog = app_route("blog", {"master": [ports["test"]], "test": [ports["master"]]})
    async with haproxy(tmp_path, RouteTable(apps=(shop(ports), blog))) as proxy:
        browser = Browser(proxy.port, "blog.localhost")
        assert served(await get(browser, f"/?balancer={KEY}.test")) == "test"
        assert not browser.cookies


async def test_without_consent_nobody_is_counted_and_no_cookie_is_set(tmp_path: Path, ports: dict[str, int]) -> None:
    async with haproxy(tmp_path, RouteTable(apps=(shop(ports, Privacy(consent=True)),))) as proxy:
        browser = Browser(proxy.port, "shop.localhost")
        assert served(await get(browser)) == "master"
        assert not browser.cookies
        browser.cookies["balancer_consent"] = "1"
        assert served(await get(browser)) == "test"
        assert browser.variant == "test"
        await get(browser)
        assert browser.cookie.split(".")[4] == "1", "counted, as anyone"
        assert [line["exposed"] for line in await logged(proxy)] == ["1"]
        del browser.cookies["balancer_consent"]
        assert served(await get(browser)) == "master", "withdrawn"
        assert browser.cookies["balancer"]["max-age"] == "0"


async def test_global_privacy_control_is_heeded_where_the_app_says_so(tmp_path: Path, ports: dict[str, int]) -> None:
    for privacy, expected in ((Privacy(gpc=True), "master"), (Privacy(), "test")):
        directory = tmp_path / expected
        directory.mkdir()
        async with haproxy(directory, RouteTable(apps=(shop(ports, privacy),))) as proxy:
            browser = Browser(proxy.port, "shop.localhost")
            assert served(await get(browser, Sec_GPC="1")) == expected
            assert bool(browser.cookies) == (expected == "test")
            assert served(await get(Browser(proxy.port, "shop.localhost", counted()), Sec_GPC="1")) == expected
            assert served(await get(browser, Sec_GPC="0")) == "test"


async def test_a_cookie_that_stands_there_twice_is_ignored(proxy: Proxy) -> None:
    for flag in "01":
        twice = f"balancer={counted('master', flag)}; balancer={counted('master', flag)}"
        browser = Browser(proxy.port, "shop.localhost")
        answer = await get(browser, Cookie=twice)
        assert served(answer) == "test"
        assert f'"x-balancer-visitor": "{browser.cookie.split(".")[0]}"' in answer.body
        assert browser.cookie.split(".")[0] != str(uuid.UUID(int=5))
