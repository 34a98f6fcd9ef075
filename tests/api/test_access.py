"""Who may use the admin API."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.api import access
from served import Served, served

pytestmark = pytest.mark.anyio
# What needs no token, because it tells nothing of this platform.
OPEN = {"/docs", "/openapi.json", "/healthz"}


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


def test_tokens_are_long_different_and_fit_a_url() -> None:
    tokens = {access.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 32 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_a_token_is_stored_by_its_digest_alone() -> None:
    assert access.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


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
    await on.platform.registry.add_token("operator", access.digest("another"))
    async with on.client() as old, on.client("another") as new:
        assert (await old.get("/api/apps")).status_code == 401
        assert (await new.get("/api/apps")).status_code == 200
