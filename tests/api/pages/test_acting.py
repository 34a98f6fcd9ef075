"""Forms that change things, over HTTP: what is said, and what the audit log has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from balancer.api.pages import acting
from platforms import probe_quickly
from served import NO_TLS, Served, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform with a shop."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        await made.create("shop")
        yield made


@asynccontextmanager
async def operator(on: Served) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Give a browser that has signed in, and the CSRF token of its forms."""
    headers = {"Accept": "text/html", "Origin": on.url}
    async with httpx.AsyncClient(
        base_url=on.url, headers=headers, trust_env=False, timeout=20, verify=NO_TLS
    ) as client:
        assert (await client.post("/sign-in", data={"token": on.token})).status_code == 303
        page = (await client.get("/apps/shop")).text
        yield client, page.partition('name="csrf" value="')[2].partition('"')[0]


async def noted(on: Served) -> list[tuple[str, str, str]]:
    """Return what was noted of the shop, the newest first, without its creation."""
    async with on.client() as client:
        found = (await client.get("/api/audit", params={"app": "shop"})).json()
    return [(each["what"], each["summary"], each["outcome"]) for each in found if each["what"] != "POST /api/apps"]


async def test_what_is_done_at_once_is_said_once_and_noted_as_the_call_that_does_the_same(on: Served) -> None:
    async with operator(on) as (client, csrf):
        answer = await client.post("/apps/shop/mode", data={"csrf": csrf, "mode": "maintenance"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop")
        assert "Visitors of shop see its maintenance page." in (await client.get("/apps/shop")).text
        assert "Visitors of shop see its maintenance page." not in (await client.get("/apps/shop")).text
    assert await noted(on) == [("PUT /api/apps/{app}/mode", "mode maintenance", "done")]


async def test_what_is_refused_is_said_where_the_form_was_with_what_was_typed(on: Served) -> None:
    async with operator(on) as (client, csrf):
        answer = await client.post("/apps/shop/config", data={"csrf": csrf, "key": "1st", "value": "<kept>"})
    assert answer.status_code == 422
    assert "is no name for a config var" in answer.text
    assert "&lt;kept&gt;</textarea>" in answer.text
    assert [each[2] for each in await noted(on)] == ["invalid-name"]


async def test_what_takes_longer_goes_on_and_is_noted_as_begun_and_when_it_has_ended(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(acting, "_WAIT_SECONDS", 0.05)

    async def scale(*_: object) -> None:
        await gate.wait()

    monkeypatch.setattr(on.platform.formations, "scale", scale)
    async with operator(on) as (client, csrf):
        answer = await client.post("/apps/shop/scale", data={"csrf": csrf, "count:web": "2"})
        assert answer.status_code == 303
        page = (await client.get("/apps/shop")).text
        assert "Scale web=2: it goes on" in page
        assert "under way" in page
        assert await noted(on) == [("PATCH /api/apps/{app}/formation", "formation web=2", "begun")]
        gate.set()
        while "under way" in page:
            page = (await client.get("/apps/shop")).text
        assert "Scale web=2" in page
    assert (await noted(on))[0] == ("PATCH /api/apps/{app}/formation", "formation web=2", "done")


async def test_what_somebody_else_put_into_the_cookie_is_not_said(on: Served) -> None:
    async with operator(on) as (client, _):
        client.cookies.set("balancer-said", f"{'0' * 64}.forged", path="/apps/shop")
        assert "forged" not in (await client.get("/apps/shop")).text


async def test_values_of_config_vars_are_shown_on_demand_alone_and_that_is_noted(on: Served) -> None:
    async with on.client() as api:
        await api.patch("/api/apps/shop/config", json={"config": {"KEY": "hidden-value"}})
    async with operator(on) as (client, csrf):
        assert "hidden-value" not in (await client.get("/apps/shop/settings")).text
        answer = await client.post("/apps/shop/config/show", data={"csrf": csrf})
        assert "hidden-value" in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert (await noted(on))[0] == ("GET /api/apps/{app}/config", "", "done")


async def test_what_cannot_be_gone_back_to_is_said(on: Served) -> None:
    async with operator(on) as (client, csrf):
        answer = await client.get("/apps/shop/rollback")
        assert answer.status_code == 404
        assert "nothing of shop was ever live" in answer.text
        answer = await client.post("/apps/shop/rollback", data={"csrf": csrf, "release": "x"})
        assert answer.status_code == 422
        assert "is no number of a release" in answer.text
