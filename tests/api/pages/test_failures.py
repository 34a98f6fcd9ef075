"""Failures, for browsers, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.api.pages import overview
from served import Served, served

pytestmark = pytest.mark.anyio
HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform that is served."""
    async with served(tmp_path) as made:
        yield made


async def test_a_browser_without_a_session_is_led_to_the_page_where_one_signs_in(on: Served) -> None:
    async with on.client("") as client:
        for path, to in (("/", "/sign-in"), ("/apps/shop?x=1&y=2", "/sign-in?next=%2Fapps%2Fshop%3Fx%3D1%26y%3D2")):
            answer = await client.get(path, headers=HTML)
            assert (answer.status_code, answer.headers["location"]) == (303, to)


async def test_a_program_gets_json_and_never_a_page(on: Served) -> None:
    async with on.client("") as client:
        assert (await client.get("/")).json()["error"] == "not-signed-in"
        answer = await client.get("/api/apps", headers=HTML)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


async def test_an_address_that_forms_are_sent_to_leads_to_the_page_of_its_app(on: Served) -> None:
    """Whoever loads the page again that said why a form was refused, or comes back to it, is not told of methods."""
    async with on.client("") as client:
        answer = await client.get("/apps/shop/scale", headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop")
        assert (await client.get("/sign-out", headers=HTML)).status_code == 405


async def test_who_sends_a_form_without_a_session_comes_back_to_its_page(on: Served) -> None:
    async with on.client("") as client:
        for referer, wanted in ((f"{on.url}/apps/shop?x=1", "/apps/shop?x=1"), ("https://elsewhere/apps/shop", "/")):
            sent = {**HTML, "Origin": on.url, "Referer": referer}
            answer = await client.post("/apps/shop/restart", headers=sent, data={})
            assert answer.status_code == 401
            assert f'name="next" value="{wanted}"' in answer.text


async def test_a_fault_of_ours_is_told_in_words_to_browsers_and_to_programs(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(overview, "page", fail)
    async with on.client("") as client:
        await client.post("/sign-in", headers={**HTML, "Origin": on.url}, data={"token": on.token})
        page = await client.get("/", headers=HTML)
        body = await client.get("/")
    assert body.json()["error"] == "balancer-error"
    assert (page.status_code, body.status_code) == (500, 500)
    assert "a fault of Balancer and not of what was asked" in page.text
    assert "<code>uvicorn.error</code>" in page.text
    assert "a secret" not in page.text + body.text


async def test_a_message_shows_what_it_says_to_type_as_code_and_leads_back_to_the_app(on: Served) -> None:
    await on.create("shop")
    async with on.client("") as client:
        await client.post("/sign-in", headers={**HTML, "Origin": on.url}, data={"token": on.token})
        below = (await client.get("/apps/shop/rollback?release=7", headers=HTML)).text
        nowhere = (await client.get("/apps/nowhere/log", headers=HTML)).text
        hostile = (await client.get("/apps/shop/splits/%60%3Cb%3E%60", headers=HTML)).text
    assert "<code>balancer releases shop</code>" in below
    assert '<a href="/apps/shop">shop</a>' in below
    assert "<code>balancer apps list</code>" in nowhere
    assert 'href="/apps/nowhere"' not in nowhere
    assert "<b>" not in hostile


async def test_a_form_that_came_without_a_session_is_told_so_and_not_lost_silently(on: Served) -> None:
    async with on.client("") as client:
        answer = await client.post("/sign-in", headers={**HTML, "Origin": "http://elsewhere"}, data={"token": on.token})
    assert answer.status_code == 403
    assert "nothing was done" in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_form_that_is_too_large_is_refused_on_the_same_page(on: Served) -> None:
    async with on.client("") as client:
        answer = await client.post("/sign-in", headers={**HTML, "Origin": on.url}, data={"token": "x" * 70_000})
    assert answer.status_code == 413
    assert "the form is too large" in answer.text


async def test_where_one_goes_on_to_is_escaped_and_no_other_site(on: Served) -> None:
    async with on.client("") as client:
        page = await client.get("/sign-in", params={"next": '"><script>alert(1)</script>'}, headers=HTML)
        assert "<script>alert" not in page.text
        form = {"token": on.token, "next": "//elsewhere.example/"}
        answer = await client.post("/sign-in", headers={**HTML, "Origin": on.url}, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_every_page_has_a_policy_that_allows_nothing_inline_and_is_kept_by_no_cache(on: Served) -> None:
    async with on.client("") as client:
        for path in ("/sign-in", "/nowhere"):
            answer = await client.get(path, headers=HTML)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'; script-src 'self'; style-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert " style=" not in answer.text


async def test_what_pages_are_made_of_is_served_to_everybody_and_asked_for_again(on: Served) -> None:
    async with on.client("") as client:
        for name, kind in (("balancer.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
            answer = await client.get(f"/static/{name}")
            assert answer.headers["content-type"].partition(";")[0] == kind
            assert answer.headers["cache-control"] == "no-cache"
        assert (await client.get("/static/../rendering.py")).status_code == 404


async def test_a_link_that_signs_in_is_good_once(on: Served) -> None:
    async with on.client() as client:
        made = await client.post("/api/sign-in-links")
        assert (made.status_code, made.json()["seconds"]) == (201, 60)
    path = made.json()["path"] + "&next=%2Fapps%2Fshop"
    form = {"code": made.json()["path"].partition("=")[2], "next": "/apps/shop"}
    sent = {**HTML, "Origin": on.url}
    async with on.client("") as first, on.client("") as second:
        page = await first.get(path, headers=HTML)
        assert (page.status_code, 'value="/apps/shop"' in page.text) == (200, True)
        answer = await first.post("/sign-in", data=form, headers=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop")
        assert (await first.get("/", headers=HTML)).status_code == 200
        again = await first.get(path, headers=HTML)
        assert (again.status_code, again.headers["location"]) == (303, "/apps/shop")
        other = await second.post("/sign-in", data=form, headers=sent)
        assert other.status_code == 401
        assert "worth nothing any more" in other.text
        assert 'value="/apps/shop"' in other.text
        assert (await second.get("/", headers=HTML)).status_code == 303
