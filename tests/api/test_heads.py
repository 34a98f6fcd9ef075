"""HEAD: what GET says of itself, without a body."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.test_access import place, routes
from served import Served, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform that is served, with an app."""
    async with served(tmp_path) as made:
        await made.create()
        yield made


async def test_wherever_get_is_possible_head_is_too(on: Served) -> None:
    """Streams end with their headers; else this would never end."""
    asked = 0
    async with on.client() as client:
        for method, path in sorted(routes()):
            if method == "GET":
                answer = await client.head(place(path))
                assert answer.status_code != 405, path
                assert answer.content == b""
                asked += 1
    assert asked >= 40


async def test_head_says_what_get_says(on: Served) -> None:
    own = ("date",)
    async with on.client() as client:
        for path in ("/api/apps", "/api/apps/none", "/sign-in", "/static/page.js", "/healthz", "/nowhere"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            said = [{name: value for name, value in each.headers.items() if name not in own} for each in (got, head)]
            assert said[0] == said[1]


async def test_head_lets_nobody_see_more_than_get(on: Served) -> None:
    async with on.client("wrong") as client:
        assert (await client.head("/api/apps")).status_code == 401
        page = await client.head("/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in")


async def test_a_refusal_says_that_head_is_possible_where_get_is(on: Served) -> None:
    async with on.client() as client:
        assert (await client.put("/healthz")).headers["allow"] == "GET, HEAD"
        assert (await client.head("/api/apps/shop/split/pause")).headers["allow"] == "POST"
