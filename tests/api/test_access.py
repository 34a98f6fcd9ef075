"""Who may use the admin API."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.routing import Mount, Route

from balancer.api import access
from balancer.api.app import build
from balancer.api.platform import Platform
from balancer.domain.role import Role
from balancer.domain.token import OPERATORS_OWN, TokenName, digest
from balancer.services.tokens import Tokens
from served import Served, served

pytestmark = pytest.mark.anyio
# What needs no token, because it tells nothing of this platform.
OPEN = {"/docs", "/openapi.json", "/healthz"}
# Of these who calls is known by something else than a token: the secret of a provider or of a push, what is signed in
# with, and the page that signs out.
OTHERWISE = {
    *("POST /hooks/{app}", "POST /git/{app}/update", "POST /git/{app}/options", "POST /sign-in", "POST /sign-out"),
    "POST /api/sign-in-links",  # a reader opens the dashboard as a reader
}
READING = {"GET", "HEAD", "OPTIONS"}
PLACES = {
    "app": "shop",
    "branch": "test",
    "split": "1",
    "visitor": "0123456789abcdef0123456789abcdef",
    "path": "shop.git/git-receive-pack",
    "target": "1",
}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform that is served."""
    async with served(tmp_path) as made:
        yield made


def basic(text: str) -> str:
    """Return an Authorization header as git sends it."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer t0ken", "t0ken"),
        ("bearer  t0ken ", "t0ken"),
        (basic("balancer:t0ken"), "t0ken"),
        (basic(":t0ken"), "t0ken"),
        (basic("a:b:c"), "b:c"),
        (basic("t0ken"), ""),
        ("", None),
        ("t0ken", None),
        ("Digest t0ken", None),
        ("Basic", ""),
        ("Basic !!!", None),
        ("Basic é", None),
        ("Basic /w==", None),
    ],
)
def test_a_token_is_read_from_whatever_the_header_holds(header: str, token: str | None) -> None:
    assert access.presented(header) == token


async def test_without_a_valid_token_nothing_is_told(on: Served) -> None:
    await on.create("shop")
    for header in (None, "", "Bearer wrong", "Bearer", basic("balancer:wrong"), "Basic é"):
        headers = {b"Authorization": header.encode("latin-1")} if header is not None else {}
        async with on.client("") as client:
            answers = [await client.get(path, headers=headers) for path in ("/api/apps/shop", "/api/apps/none")]
        assert [answer.status_code for answer in answers] == [401, 401], header
        assert answers[0].content == answers[1].content
        assert answers[0].json()["error"] == "unauthorized"
        assert "the token is missing or wrong" in answers[0].json()["message"]
        assert answers[0].headers["www-authenticate"] == "Bearer"


async def test_the_token_may_be_sent_in_either_way(on: Served) -> None:
    async with on.client("") as client:
        for header in (f"Bearer {on.token}", basic(f"anyone:{on.token}")):
            answer = await client.get("/api/apps", headers={"Authorization": header})
            assert (answer.status_code, answer.json()) == (200, [])


async def test_every_route_of_the_api_needs_a_token(on: Served) -> None:
    asked = 0
    async with on.client("") as client:
        schema = (await client.get("/openapi.json")).json()
        for path, methods in schema["paths"].items():
            for method in methods:
                answer = await client.request(method, path.replace("{app}", "shop"), json={})
                assert answer.status_code == 401, f"{method} {path}"
                asked += 1
        for path in ("/git/shop.git/info/refs?service=git-receive-pack", "/git/none"):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert (await client.post("/git/shop/update", json={"ref": "", "old": "", "new": ""})).status_code == 401
        for path in OPEN:
            assert (await client.get(path)).status_code == 200
    assert asked >= 15


async def test_a_token_that_was_replaced_is_worth_nothing(on: Served) -> None:
    await on.platform.registry.put_token(OPERATORS_OWN, digest("another"))
    async with on.client() as old, on.client("another") as new:
        assert (await old.get("/api/apps")).status_code == 401
        assert (await new.get("/api/apps")).status_code == 200


def routes() -> set[tuple[str, str]]:
    """Return method and path of every route that the application has, also those that no documentation shows."""

    def walk(prefix: str, of: Any) -> Iterator[tuple[str, str]]:
        for route in of.routes:
            if isinstance(route, Route):
                yield from ((method, prefix + route.path) for method in route.methods or ())
            elif not isinstance(route, Mount):  # a mount has files alone
                yield from walk(prefix + route.include_context.prefix, route.original_router)

    return set(walk("", build(cast("Platform", None))))


def place(path: str) -> str:
    """Return a path with something in its places."""
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: PLACES.get(found[1], "some"), path)


async def reader(on: Served) -> str:
    """Return a token that may look."""
    _, text = await Tokens(on.platform.registry).add(TokenName("ada"), Role.READER)
    return text


def test_the_routes_that_no_documentation_shows_are_found_too() -> None:
    assert {("POST", "/api/apps"), ("POST", "/git/{path:path}"), ("POST", "/sign-out"), ("GET", "/docs")} <= routes()


async def test_a_reader_may_change_nothing_by_whatever_route(on: Served) -> None:
    await on.create()
    token, asked = await reader(on), 0
    async with on.client(token) as client:
        for method, path in sorted(routes()):
            if method in READING or f"{method} {path}" in OTHERWISE:
                continue
            answer = await client.request(method, place(path), json={})
            # A page knows nobody by a token: there it is as if nobody was signed in.
            refused = 403 if path.startswith(("/api/", "/git/")) else 401
            assert answer.status_code == refused, f"{method} {path}: {answer.text}"
            asked += 1
    assert asked >= 40


async def test_a_reader_gets_whatever_only_reads_but_what_is_secret(on: Served) -> None:
    await on.create()
    async with on.client(await reader(on)) as client:
        for method, path in sorted(routes()):
            if method == "GET" and path.startswith("/api/"):
                answer = await client.get(place(path))
                assert (answer.status_code == 403) == (f"GET {path}" in access.REVEALING), f"{path}: {answer.text}"
    assert {f"{method} {path}" for method, path in routes()} >= access.REVEALING


def test_nothing_that_a_reader_gets_has_a_field_for_a_secret() -> None:
    """A new route that shows one has to go on the list, or its reason here."""
    schema = build(cast("Platform", None)).openapi()
    secret = re.compile(r"secret|token|password|credential|private|remote|config|digest|(^|_)keys?$")
    found: set[tuple[str, str]] = set()

    def look(path: str, part: object, seen: frozenset[str]) -> None:
        match part:
            case {"$ref": str(name)} if name not in seen:
                look(path, schema["components"]["schemas"][name.rpartition("/")[2]], seen | {name})
            case dict():
                found.update((path, name) for name in part.get("properties", {}) if secret.search(name))
                for each in part.values():
                    look(path, each, seen)
            case list():
                for each in part:
                    look(path, each, seen)

    for path, methods in schema["paths"].items():
        if "get" in methods and f"GET {path}" not in access.REVEALING:
            look(path, methods["get"]["responses"]["200"], frozenset())
    assert found == set()


async def test_who_is_refused_is_told_which_role_is_needed(on: Served) -> None:
    await on.create()
    async with on.client(await reader(on)) as client:
        answer = await client.get("/api/apps/shop/config")
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        assert "'ada' has the role reader, and this needs the role operator" in answer.json()["message"]
        assert (await client.delete("/api/apps/shop")).status_code == 403
    async with on.client() as client:
        assert (await client.get("/api/apps/shop")).status_code == 200
        noted = (await client.get("/api/audit")).json()[0]
    assert (noted["who"], noted["what"], noted["outcome"]) == ("token ada", "DELETE /api/apps/{app}", "forbidden")


async def test_a_reader_may_fetch_by_git_and_not_push(on: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    work, token = await on.create(), await reader(on)
    await asyncio.to_thread(work.commit, {"index.html": "hello"})
    await asyncio.to_thread(work.push, "HEAD:refs/tags/one")
    await asyncio.to_thread(work.git, "remote", "set-url", "balancer", on.remote("shop", token))
    assert "refs/tags/one" in (await asyncio.to_thread(work.git, "ls-remote", "balancer")).stdout
    await asyncio.to_thread(work.git, "fetch", "balancer", "refs/tags/one")
    refused = await asyncio.to_thread(work.push, "HEAD:refs/tags/two", check=False)
    assert refused.returncode != 0
    assert "this needs the role operator" in refused.stderr
    assert "refs/tags/two" not in (await asyncio.to_thread(work.git, "ls-remote", "balancer")).stdout
    async with on.client(token) as client:
        for way in ("git-receive-pack", "git-receive-pack?a=/git-upload-pack", "git-receive-pack%3f/git-upload-pack"):
            assert (await client.post(f"/git/shop.git/{way}")).status_code in (403, 404), way
