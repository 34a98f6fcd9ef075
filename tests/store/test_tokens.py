"""Tokens in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.role import Role
from balancer.domain.token import OPERATORS_OWN, TokenName
from balancer.errors import Conflict, NotFound
from registries import World, open_world

pytestmark = pytest.mark.anyio
CI, ADA = TokenName("ci"), TokenName("ada")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_token_is_found_by_its_digest_with_its_role(world: World) -> None:
    await world.registry.add_token(CI, Role.OPERATOR, "d1")
    await world.registry.add_token(ADA, Role.READER, "d2")
    found = [await world.registry.token(digest) for digest in ("d1", "d2", "d3")]
    assert [each and (each.name, each.role) for each in found] == [(CI, Role.OPERATOR), (ADA, Role.READER), None]


async def test_a_name_that_is_taken_is_refused_and_the_token_before_stays(world: World) -> None:
    await world.registry.add_token(CI, Role.READER, "d1")
    with pytest.raises(Conflict, match=r"'ci' is there already; .*balancer tokens remove ci"):
        await world.registry.add_token(CI, Role.OPERATOR, "d2")
    assert await world.registry.token("d2") is None
    assert [(each.name, each.role) for each in await world.registry.tokens()] == [(CI, Role.READER)]


async def test_the_operators_own_replaces_the_one_before_and_keeps_its_sessions_where_it_is_the_same(
    world: World,
) -> None:
    await world.registry.put_token(OPERATORS_OWN, "d1")
    await world.registry.add_session("s1", "d1")
    await world.registry.put_token(OPERATORS_OWN, "d1")
    assert await world.registry.session("s1") is not None
    await world.registry.put_token(OPERATORS_OWN, "d2")
    assert await world.registry.token("d1") is None
    assert await world.registry.session("s1") is None
    own = await world.registry.token("d2")
    assert own is not None
    assert own.role is Role.OPERATOR


async def test_a_token_has_one_name(world: World) -> None:
    await world.registry.add_token(CI, Role.READER, "d1")
    with pytest.raises(Conflict, match="there already, as 'ci'"):
        await world.registry.put_token(OPERATORS_OWN, "d1")
    assert [each.name for each in await world.registry.tokens()] == ["ci"]


async def test_a_token_that_was_removed_is_gone_with_its_sessions_and_no_other(world: World) -> None:
    for name, digest, session in ((CI, "d1", "s1"), (ADA, "d2", "s2")):
        await world.registry.add_token(name, Role.READER, digest)
        await world.registry.add_session(session, digest)
    await world.registry.remove_token(CI)
    assert await world.registry.token("d1") is None
    assert [await world.registry.session(each) is None for each in ("s1", "s2")] == [True, False]
    with pytest.raises(NotFound, match="no token is called 'ci'; `balancer tokens list`"):
        await world.registry.remove_token(CI)


async def test_the_last_use_is_known_to_within_an_hour(world: World) -> None:
    made = world.clock.now
    await world.registry.add_token(CI, Role.OPERATOR, "d1")
    seen = []
    for seconds in (60, 3599, 1):
        world.clock.advance(seconds)
        await world.registry.token("d1")
        (token,) = await world.registry.tokens()
        assert token.created_at == made
        assert token.used_at is not None
        seen.append((token.used_at - made).total_seconds())
    assert seen == [60, 60, 3660]
