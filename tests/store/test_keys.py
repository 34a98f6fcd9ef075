"""Keys in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.key import KeyName, PublicKey
from balancer.errors import Conflict, NotFound
from registries import World, open_world

pytestmark = pytest.mark.anyio
ADA, BOB = KeyName("ada"), KeyName("bob")
FIRST = PublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxZ6cV2eVhQJ1Yq0mQm1J0kq3m8dJcJ5mD5Yx8Yx8Yx")
SECOND = PublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxZ6cV2eVhQJ1Yq0mQm1J0kq3m8dJcJ5mD5Yx8Yx8YY")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_keys_are_kept_by_name(world: World) -> None:
    bob = await world.registry.add_key(BOB, SECOND)
    ada = await world.registry.add_key(ADA, FIRST)
    assert await world.registry.keys() == (ada, bob)
    await world.registry.remove_key(BOB)
    assert await world.registry.keys() == (ada,)


async def test_neither_a_name_nor_a_key_is_there_twice(world: World) -> None:
    await world.registry.add_key(ADA, FIRST)
    with pytest.raises(Conflict, match="a key called 'ada' is there already"):
        await world.registry.add_key(ADA, SECOND)
    with pytest.raises(Conflict, match="this key is there already, as 'ada'"):
        await world.registry.add_key(BOB, FIRST)


async def test_a_key_that_is_not_there_cannot_be_removed(world: World) -> None:
    with pytest.raises(NotFound, match="no key is called 'ada'; `balancer keys list`"):
        await world.registry.remove_key(ADA)
