"""The audit log in the registry."""

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.domain.audit import KEPT_FOR, AuditEntry
from registries import BLOG, SHOP, World, open_world

pytestmark = pytest.mark.anyio


async def add(world: World, summary: str, app: AppName | None = SHOP) -> AuditEntry:
    entry = AuditEntry(at=world.clock(), who="token ci", what="git push", app=app, summary=summary, outcome="done")
    await world.registry.add_audit_entry(entry)
    return entry


async def test_entries_come_back_as_they_were_the_newest_first(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        first, second = await add(world, "one"), await add(world, "two", None)
        assert await world.registry.audit(None, None, 10) == (second, first)
    async with open_world(tmp_path) as world:
        assert await world.registry.audit(None, None, 1) == (second,)


async def test_they_are_found_by_app_and_time(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world, "one")
        since = world.clock.advance(60)
        ours, _ = await add(world, "two"), await add(world, "three", BLOG)
        assert await world.registry.audit(SHOP, since, 10) == (ours,)


async def test_an_entry_goes_when_it_is_older_than_is_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        first = await add(world, "one")
        world.clock.now = first.at + KEPT_FOR
        second = await add(world, "two")
        assert await world.registry.audit(None, None, 10) == (second, first)
        world.clock.now += timedelta(milliseconds=1)
        third = await add(world, "three")
        assert await world.registry.audit(None, None, 10) == (third, second)


async def test_entries_stay_when_their_app_is_gone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        entry = await add(world, "one")
        await world.registry.remove_app(SHOP)
        assert await world.registry.audit(SHOP, None, 10) == (entry,)
