"""Signing in to the pages."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Depends, Request

from balancer.api import sessions
from balancer.domain.role import Role
from balancer.domain.session import LIMITS
from balancer.domain.token import TokenName
from balancer.services.tokens import Tokens
from served import NO_TLS, Served, served

pytestmark = pytest.mark.anyio
pages = APIRouter(dependencies=[Depends(sessions.guard)], include_in_schema=False)


@pages.get("/page")
async def page(request: Request) -> dict[str, str | None]:
    """Say who is signed in, and what a form of this page would send."""
    session = sessions.require(await sessions.session_of(request), Role.READER)
    return {"name": session.name, "csrf": sessions.csrf_of(session)}


@pages.post("/page")
async def change(request: Request) -> dict[str, str]:
    """Give back what the form has."""
    return await sessions.form_of(request)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform that is served, with a page, on the same machine as a proxy that is trusted at 127.0.0.2."""
    async with served(tmp_path, trusted_proxies=(ip_network("127.0.0.2/32"),), pages=pages) as made:
        yield made


class Browser:
    """What keeps the cookie, and says which page a form is of."""

    def __init__(self, on: Served, *, address: str = "127.0.0.1", **headers: str) -> None:
        self._url = self.origin = on.url
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._address = address
        self.cookies: dict[str, str] = {}

    async def send(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send a request, as a page of this origin does unless the headers say otherwise."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookie, "Origin": self.origin, **self._headers, **headers}
        transport = httpx.AsyncHTTPTransport(local_address=self._address, verify=NO_TLS)
        async with httpx.AsyncClient(base_url=self._url, transport=transport) as client:
            answer = await client.request(method, path, data=form, headers={k: v for k, v in sent.items() if v})
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if not morsel.value:
                    del self.cookies[name]
        return answer

    async def sign_in(self, token: str, **fields: str) -> httpx.Response:
        """Sign in, and assert that it went well."""
        answer = await self.send("POST", "/sign-in", {"token": token, **fields})
        assert answer.status_code == 303, answer.text
        return answer

    async def csrf(self) -> str:
        """Return what the forms of the page send."""
        return str((await self.send("GET", "/page")).json()["csrf"])


async def token_of(on: Served, role: Role = Role.READER) -> str:
    """Return the text of a new token, called `ada`."""
    return (await Tokens(on.platform.registry).add(TokenName("ada"), role))[1]


async def test_a_token_becomes_a_session_that_pages_know_and_that_is_over_after_signing_out(on: Served) -> None:
    browser = Browser(on)
    assert (await browser.send("GET", "/page")).json()["error"] == "not-signed-in"
    answer = await browser.sign_in(await token_of(on))
    assert answer.headers["location"] == "/"
    kept = dict(browser.cookies)
    assert (await browser.send("GET", "/page")).json()["name"] == "ada"
    out = await browser.send("POST", "/sign-out", {"csrf": await browser.csrf()})
    assert (out.status_code, out.headers["location"], browser.cookies) == (303, "/", {})
    browser.cookies = kept  # somebody has kept it
    assert (await browser.send("GET", "/page")).status_code == 401


async def test_the_cookie_is_for_us_alone_and_for_no_script(on: Served) -> None:
    answer = await Browser(on).sign_in(on.token)
    (line,) = answer.headers.get_list("set-cookie")
    name, _, rest = line.partition("=")
    said = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name == "balancer-session"
    assert said == {"httponly", "samesite=strict", "path=/", f"max-age={12 * 3600}"}
    assert on.token not in line


async def test_over_https_by_a_trusted_proxy_the_cookie_is_secure_and_of_this_host_alone(on: Served) -> None:
    behind = Browser(on, address="127.0.0.2", X_Forwarded_Proto="https")
    (line,) = (await behind.sign_in(on.token)).headers.get_list("set-cookie")
    assert line.startswith("__Host-balancer-session=")
    assert "secure" in line.lower()
    assert (await behind.send("GET", "/page")).status_code == 200
    stranger = Browser(on, X_Forwarded_Proto="https")
    (line,) = (await stranger.sign_in(on.token)).headers.get_list("set-cookie")
    assert "secure" not in line.lower()


async def test_whoever_has_no_good_token_is_told_so_and_gets_no_cookie(on: Served) -> None:
    browser = Browser(on)
    for token in ("", "wrong", "x" * 1000, "\udce9".encode("utf-8", "replace").decode(), on.token[:-1]):
        answer = await browser.send("POST", "/sign-in", {"token": token})
        assert (answer.status_code, answer.json()["error"]) == (401, "sign-in-refused"), token
        assert "set-cookie" not in answer.headers
    assert (await browser.send("GET", "/page", Cookie="balancer-session=made-up")).status_code == 401


async def test_whoever_fails_too_often_has_to_wait_and_is_told_how_long(on: Served) -> None:
    browser = Browser(on)
    for _ in range(10):
        assert (await browser.send("POST", "/sign-in", {"token": "wrong"})).status_code == 401
    answer = await browser.send("POST", "/sign-in", {"token": on.token})
    assert (answer.status_code, answer.json()["error"]) == (429, "too-many-attempts")
    assert answer.headers["retry-after"] == "60"
    assert (await Browser(on, address="127.0.0.3").sign_in(on.token)).status_code == 303
    async with on.client() as client:
        assert (await client.get("/api/apps")).status_code == 200
    on.platform.clock.advance(60)
    await browser.sign_in(on.token)


async def test_behind_a_trusted_proxy_each_client_has_its_own_attempts_and_nobody_can_make_some_up(on: Served) -> None:
    for number in range(12):
        proxied = Browser(on, address="127.0.0.2", X_Forwarded_For=f"198.51.100.{number}, 192.0.2.1")
        answer = await proxied.send("POST", "/sign-in", {"token": "wrong"})
        assert answer.status_code == (401 if number < 10 else 429)
    other = Browser(on, address="127.0.0.2", X_Forwarded_For="192.0.2.2")
    assert (await other.send("POST", "/sign-in", {"token": "wrong"})).status_code == 401
    for number in range(12):
        direct = Browser(on, X_Forwarded_For=f"203.0.113.{number}")
        answer = await direct.send("POST", "/sign-in", {"token": "wrong"})
        assert answer.status_code == (401 if number < 10 else 429)


async def test_the_addresses_of_one_ipv6_subscriber_count_as_one(on: Served) -> None:
    for number in range(12):
        proxied = Browser(on, address="127.0.0.2", X_Forwarded_For=f"2001:db8:1:2::{number}")
        answer = await proxied.send("POST", "/sign-in", {"token": "wrong"})
        assert answer.status_code == (401 if number < 10 else 429)


async def test_a_form_is_taken_from_a_page_of_the_session_only(on: Served) -> None:
    browser, other = Browser(on), Browser(on)
    await browser.sign_in(await token_of(on, Role.OPERATOR))
    await other.sign_in(on.token)
    csrf = await browser.csrf()
    assert csrf == await browser.csrf()
    assert (await browser.send("POST", "/page", {"csrf": csrf, "a": "1"})).json()["a"] == "1"
    assert (await browser.send("POST", "/page", {}, **{"X-CSRF-Token": csrf})).status_code == 200
    for form in ({}, {"csrf": ""}, {"csrf": "é"}, {"csrf": await other.csrf()}):
        answer = await browser.send("POST", "/page", form)
        assert (answer.status_code, answer.json()["error"]) == (403, "page-outdated"), form


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "null", "", "http://127.0.0.1", "http://shop.localhost"]
)
async def test_what_a_page_of_another_origin_sends_is_not_taken(on: Served, origin: str) -> None:
    browser = Browser(on)
    answer = await browser.send("POST", "/sign-in", {"token": on.token}, Origin=origin)
    assert (answer.status_code, browser.cookies) == (403, {})
    await browser.sign_in(on.token)
    for path in ("/page", "/sign-out"):
        answer = await browser.send("POST", path, {"csrf": await browser.csrf()}, Origin=origin)
        assert (answer.status_code, answer.json()["error"]) == (403, "page-outdated")
    assert (await browser.send("GET", "/page")).status_code == 200


async def test_a_reader_sees_pages_and_sends_no_form(on: Served) -> None:
    browser = Browser(on)
    await browser.sign_in(await token_of(on))
    answer = await browser.send("POST", "/page", {"csrf": await browser.csrf()})
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "needs the role operator" in answer.json()["message"]


async def test_the_api_does_not_look_at_the_cookie_and_pages_not_at_a_token(on: Served) -> None:
    browser = Browser(on)
    await browser.sign_in(on.token)
    for method, path in (("GET", "/api/apps"), ("POST", "/api/apps"), ("GET", "/git/shop.git/info/refs")):
        assert (await browser.send(method, path, None, **{"X-CSRF-Token": await browser.csrf()})).status_code == 401
    async with on.client() as client:
        assert (await client.get("/page")).status_code == 401


async def test_a_session_ends_with_its_token(on: Served) -> None:
    browser, other = Browser(on), Browser(on)
    await browser.sign_in(await token_of(on))
    await other.sign_in(on.token)
    async with on.client() as client:
        assert (await client.delete("/api/tokens/ada")).status_code == 204
    assert (await browser.send("GET", "/page")).status_code == 401
    assert (await other.send("GET", "/page")).status_code == 200


async def test_a_session_that_nobody_uses_ends(on: Served) -> None:
    browser = Browser(on)
    await browser.sign_in(on.token)
    on.platform.clock.advance(LIMITS[Role.OPERATOR].idle.total_seconds())
    assert (await browser.send("GET", "/page")).status_code == 401


async def test_a_page_that_keeps_itself_up_to_date_is_no_use_of_the_session(on: Served) -> None:
    browser = Browser(on)
    await browser.sign_in(on.token)
    for _ in range(3):
        on.platform.clock.advance(LIMITS[Role.OPERATOR].idle.total_seconds() / 3)
        last = await browser.send("GET", "/page", None, Accept="text/event-stream")
    assert last.status_code == 401


async def test_signing_in_again_ends_the_session_before(on: Served) -> None:
    browser = Browser(on)
    await browser.sign_in(on.token)
    first = dict(browser.cookies)
    await browser.sign_in(on.token)
    assert browser.cookies != first
    browser.cookies = first
    assert (await browser.send("GET", "/page")).status_code == 401


@pytest.mark.parametrize(
    ("asked", "gone_to"),
    [
        ("/apps/shop?split=3", "/apps/shop?split=3"),
        ("", "/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/a\r\nSet-Cookie: a=b", "/"),
        ("apps/shop", "/"),
        ("javascript:alert(1)", "/"),
        ("/" + "a" * 2001, "/"),
    ],
)
async def test_whoever_signs_in_goes_on_to_a_page_of_ours_and_nowhere_else(
    on: Served, asked: str, gone_to: str
) -> None:
    answer = await Browser(on).sign_in(on.token, next=asked)
    assert answer.headers["location"] == gone_to


async def test_a_form_that_is_too_large_is_not_read(on: Served) -> None:
    answer = await Browser(on).send("POST", "/sign-in", {"token": "x" * 70_000})
    assert (answer.status_code, answer.json()["error"]) == (413, "body-too-large")


async def test_signing_in_and_out_and_what_pages_send_stand_in_the_audit_log_without_the_token(on: Served) -> None:
    browser, text = Browser(on), await token_of(on, Role.OPERATOR)
    await browser.send("POST", "/sign-in", {"token": "wrong"})
    await browser.sign_in(text)
    csrf = await browser.csrf()
    await browser.send("POST", "/page", {"csrf": csrf})
    await browser.send("POST", "/page", {})
    await browser.send("POST", "/sign-out", {"csrf": csrf})
    async with on.client() as client:
        answer = await client.get("/api/audit")
    entries = [(each["who"], each["what"], each["outcome"]) for each in reversed(answer.json())]
    assert entries == [
        ("token ada", "POST /sign-in", "done"),
        ("token ada", "POST /page", "done"),
        ("token ada", "POST /page", "page-outdated"),
        ("token ada", "POST /sign-out", "done"),
    ]
    assert text not in answer.text
    assert csrf not in answer.text


async def test_a_link_signs_in_by_the_form_of_its_page_and_not_by_being_followed(on: Served) -> None:
    async with on.client() as client:
        code = (await client.post("/api/sign-in-links")).json()["path"].removeprefix("/sign-in?code=")
    browser = Browser(on)
    page = await browser.send("GET", f"/sign-in?code={code}&next=/traffic", Accept="text/html")
    assert (page.status_code, browser.cookies) == (200, {})
    assert on.token not in page.text
    led = Browser(on)
    for origin in ("https://elsewhere.example", "null", ""):
        answer = await led.send("POST", "/sign-in", {"code": code}, Origin=origin)
        assert (answer.status_code, answer.json()["error"], led.cookies) == (403, "page-outdated", {})
    answer = await browser.send("POST", "/sign-in", {"code": code, "next": "/traffic"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/traffic")
    assert (await browser.send("GET", "/page")).json()["name"] == "operator"
    again = await led.send("POST", "/sign-in", {"code": code})
    assert (again.status_code, led.cookies) == (401, {})


@pytest.mark.parametrize(
    ("site", "pressed"),
    [("none", True), ("cross-site", False), ("same-site", False), ("same-origin", False), ("", False)],
)
async def test_the_button_of_a_link_is_pressed_by_itself_only_where_no_page_has_led_to_it(
    on: Served, site: str, pressed: bool
) -> None:
    browser = Browser(on, Accept="text/html", Sec_Fetch_Site=site)
    page = await browser.send("GET", "/sign-in?code=any")
    assert ("follow-link.js" in page.text) is pressed
