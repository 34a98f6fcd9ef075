"""Freezes in a real registry."""

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.errors import AppNotFound, InvalidInput, NotFound
from balancer.store import freezes as module
from registries import SHOP, open_world

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


async def test_freezes_are_kept_in_the_order_in_which_they_begin_and_go_when_they_are_removed(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        now = world.clock.now
        later = await world.registry.add_freeze(SHOP, now + DAY, now + 2 * DAY, "Fair")
        first = await world.registry.add_freeze(None, now, now + DAY, "Christmas")
        assert await world.registry.freezes() == (first, later)
        await world.registry.remove_freeze(first.number)
        assert await world.registry.freezes() == (later,)
        with pytest.raises(NotFound, match=f"there is no freeze {first.number}"):
            await world.registry.remove_freeze(first.number)
        third = await world.registry.add_freeze(None, now, now + DAY, "Again")
        assert third.number > later.number
    async with open_world(tmp_path) as world:
        assert len(await world.registry.freezes()) == 2, "a daemon that starts finds them"


async def test_what_cannot_be_frozen_is_refused_and_not_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        now = world.clock.now
        with pytest.raises(AppNotFound):
            await world.registry.add_freeze(AppName("nowhere"), now, now + DAY, "Fair")
        with pytest.raises(InvalidInput, match="ends after it has begun"):
            await world.registry.add_freeze(SHOP, now, now, "Fair")
        assert await world.registry.freezes() == ()


async def test_a_freeze_goes_with_its_app_and_a_year_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        now = world.clock.now
        await world.registry.add_freeze(SHOP, now, now + DAY, "Fair")
        everywhere = await world.registry.add_freeze(None, now, now + DAY, "Christmas")
        await world.registry.remove_app(SHOP)
        assert await world.registry.freezes() == (everywhere,)
        monkeypatch.setattr(module, "_LIMIT", 1)
        with pytest.raises(InvalidInput, match="there are 1 freezes already"):
            await world.registry.add_freeze(None, now, now + DAY, "Again")
        now = world.clock.advance(368 * 86_400)
        again = await world.registry.add_freeze(None, now, now + DAY, "Christmas")
        assert await world.registry.freezes() == (again,)
