"""Tokens in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.errors import Conflict
from registries import World, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_token_is_found_by_its_digest(world: World) -> None:
    await world.registry.add_token("ci", "d1")
    assert await world.registry.token_name("d1") == "ci"
    assert await world.registry.token_name("d2") is None


async def test_a_token_of_the_same_name_replaces_the_one_before(world: World) -> None:
    for digest in ("d1", "d2", "d2"):
        await world.registry.add_token("ci", digest)
    assert [await world.registry.token_name(digest) for digest in ("d1", "d2")] == [None, "ci"]


async def test_a_token_has_one_name(world: World) -> None:
    await world.registry.add_token("ci", "d1")
    with pytest.raises(Conflict, match="there already, as 'ci'"):
        await world.registry.add_token("admin", "d1")
    assert await world.registry.token_name("d1") == "ci"
