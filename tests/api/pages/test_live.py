"""Pages that are kept up to date, over HTTP, on a platform whose proxy and clock are fake."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from balancer.api.pages import live
from balancer.domain.app import AppName
from balancer.errors import Unavailable
from served import NO_TLS, Served, served
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform that looks for what has changed more often."""
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.05)
    async with served(tmp_path) as made:
        yield made


@asynccontextmanager
async def browser(on: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser that has signed in."""
    headers = {"Accept": "text/html", "Origin": on.url}
    async with httpx.AsyncClient(
        base_url=on.url, headers=headers, trust_env=False, timeout=20, verify=NO_TLS
    ) as client:
        answer = await client.post("/sign-in", data={"token": on.token})
        assert answer.status_code == 303
        yield client


class Stream:
    """The events of a stream, one after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, object]:
        """Return name and data of the next event."""
        name = ""
        async for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))
        return "end", None

    async def part(self, id: str) -> str:  # noqa: A002 - of an element
        """Return the HTML of the next part with this id."""
        while True:
            name, data = await self.next()
            assert name == "part", (name, data)
            assert isinstance(data, dict)
            if data["id"] == id:
                html = data["html"]
                assert isinstance(html, str)
                return html


@asynccontextmanager
async def stream(client: httpx.AsyncClient, path: str = "/live") -> AsyncIterator[Stream]:
    """Give the events of a page."""
    async with client.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


async def test_what_has_changed_is_sent_as_html_and_what_has_not_is_not(on: Served) -> None:
    await on.platform.registry.create_app(AppName("blog"), None)
    async with browser(on) as client, stream(client) as events:
        assert "1 app" in await events.part("apps")
        assert "nothing live" in await events.part("app-blog")
        await on.create("shop")
        assert "2 apps" in await events.part("apps")
        assert (await events.next())[1] == {"id": "app-shop", "html": await one(client, "app-shop")}


async def one(client: httpx.AsyncClient, id: str) -> str:  # noqa: A002 - of an element
    """Return the HTML of an app in the page, which is what its part has to be."""
    page = (await client.get("/")).text
    start = page.index(f'<article class="app" id="{id}"')
    return page[start : page.index("</article>", start)] + "</article>\n"


async def test_where_nothing_changes_the_page_hears_that_the_daemon_is_there(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_SILENCE_SECONDS", 0.0)
    async with browser(on) as client, stream(client) as events:
        await events.part("apps")
        assert await events.next() == ("still", None)


async def test_a_stream_ends_with_its_session(on: Served) -> None:
    async with browser(on) as client, stream(client) as events:
        await events.part("apps")
        csrf = (await client.get("/")).text.partition('name="csrf" value="')[2].partition('"')[0]
        assert (await client.post("/sign-out", data={"csrf": csrf})).status_code == 303
        assert await events.next() == ("over", None)
        assert await events.next() == ("end", None)


async def test_nobody_follows_a_page_without_signing_in(on: Served) -> None:
    async with on.client("") as client:
        assert (await client.get("/live", headers={"Accept": "text/event-stream"})).status_code == 401


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one page alone be followed."""
    monkeypatch.setattr(live, "_STREAMS_LIMIT", live._open + 1)


@pytest.mark.usefixtures("few")
async def test_streams_are_bounded_and_one_that_ended_makes_room(on: Served) -> None:
    async with browser(on) as client:
        async with stream(client) as events:
            await events.part("apps")
            answer = await client.get("/live", headers={"Accept": "text/event-stream"})
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
            assert "load this one again" in answer.json()["message"]
        await eventually_free()
        async with stream(client) as events:
            await events.part("apps")


async def eventually_free() -> None:
    """Return when the server has seen that the browser went away."""
    before = live._STREAMS_LIMIT - 1
    await eventually(lambda: live._open <= before, 30)


async def test_a_registry_that_does_not_answer_is_told_and_the_stream_goes_on(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(on) as client, stream(client) as events:
        await events.part("apps")
        with monkeypatch.context() as broken:
            broken.setattr(type(on.platform.registry), "snapshot", _fails)
            name, words = await events.next()
            assert (name, words) == ("trouble", "the registry is away")
        await on.create("shop")
        while (await events.next())[0] == "trouble":
            pass


async def _fails(self: object) -> object:
    raise Unavailable("the registry is away")
