"""Config vars in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from balancer.errors import AppNotFound, HostUnfit, ReleaseNotFound
from registries import BLOG, SHOP, World, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_config_vars_are_set_changed_and_removed(world: World) -> None:
    assert await world.registry.config(SHOP) == {}
    assert await world.registry.set_config(SHOP, {"B": "2", "A": "1"}) == {"A": "1", "B": "2"}
    assert await world.registry.set_config(SHOP, {"A": "ä=\n\"'", "B": None, "C": None}) == {"A": "ä=\n\"'"}
    assert await world.registry.config(SHOP) == {"A": "ä=\n\"'"}


async def test_config_vars_are_an_apps_own(world: World) -> None:
    await world.registry.create_app(BLOG, None)
    await world.registry.set_config(SHOP, {"A": "1"})
    await world.registry.set_config(BLOG, {"A": "2"})
    assert await world.registry.config(SHOP) == {"A": "1"}


async def test_config_vars_of_no_app_are_refused(world: World) -> None:
    with pytest.raises(AppNotFound):
        await world.registry.config(BLOG)
    with pytest.raises(AppNotFound):
        await world.registry.set_config(BLOG, {"A": "1"})


async def test_a_release_keeps_the_config_vars_it_was_opened_with(world: World) -> None:
    await world.registry.set_config(SHOP, {"A": "1"})
    release = await world.build()
    await world.registry.set_config(SHOP, {"A": "2", "B": "3"})
    assert await world.registry.release_config(release.id) == {"A": "1"}
    assert await world.registry.release_config((await world.build()).id) == {"A": "2", "B": "3"}
    with pytest.raises(ReleaseNotFound):
        await world.registry.release_config(99)


async def test_no_value_is_on_the_disk_in_clear(world: World) -> None:
    await world.registry.set_config(SHOP, {"PASSWORD": "correct horse battery"})
    await world.build()
    written = b"".join(file.read_bytes() for file in world.directory.iterdir())
    assert b"PASSWORD" in written
    assert b"battery" not in written


async def test_another_key_is_told_apart_from_a_broken_registry(world: World) -> None:
    await world.registry.set_config(SHOP, {"A": "1"})
    release = await world.build()
    await world.registry.close()
    async with open_world(world.directory, key=Fernet.generate_key()) as other:
        with pytest.raises(HostUnfit, match="the key is not the one"):
            await other.registry.config(SHOP)
        with pytest.raises(HostUnfit, match="the key is not the one"):
            await other.registry.release_config(release.id)
        with pytest.raises(HostUnfit, match="the key is not the one"):
            await other.build()
        assert await other.registry.releases(SHOP) == (release,)
