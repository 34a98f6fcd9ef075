"""Sources in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.domain.remote import RemoteUrl
from balancer.domain.source import PullSource
from balancer.errors import AppNotFound, NotFound
from registries import MASTER, SHOP, TEST, World, open_world

pytestmark = pytest.mark.anyio
URL = RemoteUrl("https://ada:pa55word@git.example/shop.git")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def source(world: World, *, secret: str = "s3cret", app: AppName = SHOP) -> PullSource:
    return PullSource(app=app, remote=URL, secret=secret, branches=(MASTER, TEST), created_at=world.clock())


async def test_a_source_comes_back_as_it_was_and_lies_encrypted(world: World) -> None:
    made = await world.registry.set_source(source(world))
    assert made == source(world) == await world.registry.source(SHOP)
    raw = b"".join(path.read_bytes() for path in world.directory.iterdir())
    assert b"pa55word" not in raw
    assert b"s3cret" not in raw
    assert "s3cret" not in repr(made)


async def test_the_secret_stays_when_a_source_is_set_again(world: World) -> None:
    await world.registry.set_source(source(world))
    assert (await world.registry.set_source(source(world, secret="another"))).secret == "s3cret"


async def test_what_is_not_there_is_not_found(world: World) -> None:
    for missing in (world.registry.source, world.registry.remove_source):
        with pytest.raises(NotFound, match="shop has no source"):
            await missing(SHOP)
    with pytest.raises(AppNotFound):
        await world.registry.set_source(source(world, app=AppName("none")))
    await world.registry.set_source(source(world))
    await world.registry.remove_source(SHOP)
    with pytest.raises(NotFound):
        await world.registry.source(SHOP)
