"""Who may do what by the pages, and what browsers are told: of every route, also of one that is added tomorrow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from balancer.api.pages.dashboard import PAGES
from balancer.domain.role import Role
from balancer.domain.token import TokenName
from balancer.services.tokens import Tokens
from served import NO_TLS, Served, served

pytestmark = pytest.mark.anyio
VALUES = {
    "{app}": "shop",
    "{verb}": "pause",
    "{what}": "stopped",
    "{number}": "1",
    "{split}": "s1",
    "{name}": "visitors",
}
SECRET = "kept-from-everybody"
# What leads to a change alone.
FOR_OPERATORS = {"/apps/shop/rollback", "/apps/shop/sure/stopped", "/apps/shop/weights"}


def paths(method: str) -> list[str]:
    """Return the path of every page's route with this method."""
    found = []
    for page in PAGES:
        for route in page.router.routes:
            if method in route.methods:
                path: str = route.path
                for name, value in VALUES.items():
                    path = path.replace(name, value)
                found.append(path)
    assert found
    return found


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform with a shop that has a secret."""
    async with served(tmp_path) as made:
        await made.create("shop")
        async with made.client() as client:
            set_ = {"config": {"PASSWORD": SECRET}, "later": True}
            (await client.patch("/api/apps/shop/config", json=set_)).raise_for_status()
        yield made


@asynccontextmanager
async def browsing(on: Served, role: Role | None) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Give a browser of somebody with this role, or of nobody, and the CSRF token of their pages."""
    headers = {"Accept": "text/html", "Origin": on.url}
    async with httpx.AsyncClient(
        base_url=on.url, headers=headers, trust_env=False, timeout=20, verify=NO_TLS
    ) as client:
        if role is None:
            yield client, ""
            return
        text = await Tokens(on.platform.registry).add(TokenName(f"a-{role.value}"), role)
        assert (await client.post("/sign-in", data={"token": text})).status_code == 303
        yield client, (await client.get("/")).text.partition('name="csrf" value="')[2].partition('"')[0]


async def test_a_form_is_taken_from_an_operators_own_page_alone(on: Served) -> None:
    async with (
        browsing(on, None) as (nobody, _),
        browsing(on, Role.READER) as (reader, readers),
        browsing(on, Role.OPERATOR) as (operator, operators),
    ):
        for path in paths("POST"):
            assert (await nobody.post(path, data={"csrf": operators})).status_code == 401, path
            assert (await reader.post(path, data={"csrf": readers})).status_code == 403, path
            elsewhere = {"Origin": "https://elsewhere.example"}
            for form, headers in (({}, {}), ({"csrf": readers}, {}), ({"csrf": operators}, elsewhere)):
                answer = await operator.post(path, data=form, headers=headers)
                assert answer.status_code == 403, (path, form, headers)
                assert SECRET not in answer.text, path


async def test_what_is_read_needs_a_session_tells_no_secret_and_cannot_be_framed_or_kept(on: Served) -> None:
    async with (
        browsing(on, None) as (nobody, _),
        browsing(on, Role.READER) as (reader, _),
        browsing(on, Role.OPERATOR) as (operator, _),
    ):
        for path in (path for path in paths("GET") if not path.endswith("live")):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.headers["location"].startswith("/sign-in")) == (303, True), path
            for client in (reader, operator):
                answer = await client.get(path)
                assert SECRET not in answer.text, path
                assert on.token not in answer.text, path
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
                assert "script-src 'self'" in answer.headers["content-security-policy"], path
                assert answer.headers["cache-control"] == "no-store", path
                assert answer.headers["x-content-type-options"] == "nosniff", path
            if path in FOR_OPERATORS:
                assert (await reader.get(path)).status_code == 403, path


async def test_the_values_of_config_vars_are_shown_to_an_operator_who_asks(on: Served) -> None:
    async with browsing(on, Role.OPERATOR) as (operator, csrf):
        answer = await operator.post("/apps/shop/config/show", data={"csrf": csrf})
        assert SECRET in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_nothing_at_all_can_be_framed_or_taken_for_another_kind(on: Served) -> None:
    async with browsing(on, None) as (nobody, _):
        for path in ("/", "/docs", "/openapi.json", "/healthz", "/static/page.js", "/sign-in", "/api/apps", "/nowhere"):
            answer = await nobody.get(path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "cache-control" in answer.headers, path


async def test_who_has_signed_in_is_led_nowhere_else(on: Served) -> None:
    async with browsing(on, Role.OPERATOR) as (operator, _):
        for wanted in ("//elsewhere.example", "https://elsewhere.example", "javascript:alert(1)", "/\\x.example"):
            answer = await operator.get("/sign-in", params={"next": wanted})
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), wanted
