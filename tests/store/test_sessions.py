"""Sessions in the registry."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.role import Role
from balancer.domain.session import LIMITS, MOST_PER_TOKEN
from balancer.domain.token import TokenName
from registries import World, open_world

pytestmark = pytest.mark.anyio
CI, ADA = TokenName("ci"), TokenName("ada")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        await world.registry.add_token(CI, Role.OPERATOR, "ci")
        await world.registry.add_token(ADA, Role.READER, "ada")
        yield world


async def test_a_session_has_the_name_and_the_role_of_its_token(world: World) -> None:
    assert await world.registry.add_session("s1", "ada") == await world.registry.session("s1")
    session = await world.registry.session("s1")
    assert session is not None
    assert (session.name, session.role, session.signed_in_at) == (ADA, Role.READER, world.clock.now)
    assert await world.registry.add_session("s2", "nobody") is None
    assert await world.registry.session("s2") is None


@pytest.mark.parametrize("token", ["ci", "ada"])
async def test_a_session_lasts_as_long_as_it_is_used_and_not_longer_than_it_may(world: World, token: str) -> None:
    session = await world.registry.add_session("s1", token)
    assert session is not None
    limits, step = LIMITS[session.role], timedelta(minutes=30)
    while world.clock.now + step < session.signed_in_at + limits.whole:
        world.clock.advance(step.total_seconds())
        assert await world.registry.session("s1") is not None
        step = limits.idle - timedelta(minutes=1)
    world.clock.advance((session.signed_in_at + limits.whole - world.clock.now).total_seconds())
    assert await world.registry.session("s1") is None


@pytest.mark.parametrize("token", ["ci", "ada"])
async def test_a_session_that_was_not_used_for_long_is_over_and_does_not_come_back(world: World, token: str) -> None:
    session = await world.registry.add_session("s1", token)
    assert session is not None
    world.clock.advance(LIMITS[session.role].idle.total_seconds())
    assert await world.registry.session("s1") is None
    world.clock.advance(-3600)
    assert await world.registry.session("s1") is None


async def test_a_session_that_was_ended_is_over_and_may_be_ended_twice(world: World) -> None:
    await world.registry.add_session("s1", "ci")
    await world.registry.add_session("s2", "ci")
    await world.registry.end_session("s1")
    await world.registry.end_session("s1")
    assert [await world.registry.session(each) is None for each in ("s1", "s2")] == [True, False]


async def test_of_one_token_only_so_many_are_kept_the_newest(world: World) -> None:
    await world.registry.add_session("other", "ada")
    for number in range(MOST_PER_TOKEN + 1):
        world.clock.advance(1)
        await world.registry.add_session(f"s{number}", "ci")
    assert await world.registry.session("s0") is None
    for each in ("s1", f"s{MOST_PER_TOKEN}", "other"):
        assert await world.registry.session(each) is not None
