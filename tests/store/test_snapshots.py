"""The snapshot is never older than the database, whoever writes, and reads no more than what was written."""

import itertools
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from balancer.domain.app import AppMode, PreviewKey
from balancer.domain.release import InstanceState
from balancer.domain.snapshot import Snapshot
from balancer.errors import NotFound
from balancer.store import rows
from balancer.store.database import default_url, open_database
from balancer.store.snapshots import Snapshots
from registries import BLOG, MASTER, SHOP, TEST, World, open_world, weights

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def read_anew(world: World) -> Snapshot:
    """Return what somebody finds who has never read the database before."""
    engine = open_database(default_url(world.directory))
    try:
        with engine.begin() as connection:
            return Snapshots(engine).read(connection)
    finally:
        engine.dispose()


async def up_to_date(world: World) -> Snapshot:
    """Return the snapshot, which must be that of a reader who begins."""
    found = await world.registry.snapshot()
    assert found == read_anew(world)
    return found


async def test_whatever_is_written_is_in_the_next_snapshot(world: World) -> None:
    registry, seen = world.registry, []

    async def look() -> None:
        seen.append(await up_to_date(world))

    await look()
    await registry.create_app(BLOG, None)
    await look()
    master = await world.push("master", domains=["shop.example"])
    await look()
    test = await world.push("test")
    await look()
    instance = await world.healthy_instance(test, 2)
    await look()
    await registry.record_host(instance.id, "::1")
    await look()
    await registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000)
    await look()
    await registry.set_weights(SHOP, weights(master=10, test=90))
    await look()
    await registry.pause_split(SHOP)
    await look()
    await registry.conclude_split(SHOP, TEST)
    await look()
    await registry.set_mode(SHOP, AppMode.MAINTENANCE)
    await look()
    await registry.set_preview_key(SHOP, PreviewKey("p" + "0" * 16))
    await look()
    await registry.move_instance(instance.id, InstanceState.STOPPED)
    await look()
    await registry.remove_app(BLOG)
    await look()
    assert all(one != other for one, other in itertools.pairwise(seen)), "each of these is a change"
    assert master.id in {release.id for release in seen[-1].releases}


async def test_as_long_as_nothing_is_written_it_is_the_same_object(world: World) -> None:
    await world.split_evenly()
    before = await world.registry.snapshot()
    await world.registry.releases(SHOP)
    await world.registry.split(SHOP)
    assert await world.registry.snapshot() is before


async def test_what_was_not_written_to_is_not_read_again_and_is_the_same(world: World) -> None:
    await world.split_evenly()
    before = await world.registry.snapshot()
    statements: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    await world.registry.set_weights(SHOP, weights(master=10, test=90))
    statements.clear()
    after = await world.registry.snapshot()
    assert after.splits != before.splits
    assert after.instances is before.instances
    assert not any("FROM instances" in statement for statement in statements)


async def test_a_row_that_has_not_changed_gives_the_same_value(world: World) -> None:
    await world.push("master")
    test = await world.push("test")
    before = await world.registry.snapshot()
    await world.healthy_instance(test, 2)
    after = await world.registry.snapshot()
    assert len(after.instances) == len(before.instances) + 1
    assert all(one is other for one, other in zip(before.instances, after.instances, strict=False))
    assert all(one is other for one, other in zip(before.releases, after.releases, strict=True))
    assert after.apps is before.apps


async def test_what_was_rolled_back_is_in_no_snapshot(world: World) -> None:
    release = await world.push("master")
    (instance,) = await world.instances_of(release)
    before = await world.registry.snapshot()
    with pytest.raises(NotFound):
        await world.registry.replace_instances(SHOP, draining=[instance.id, 4711], mode=AppMode.PAUSED)
    assert await up_to_date(world) == before


async def test_what_somebody_else_has_written_is_in_the_next_snapshot(world: World) -> None:
    await world.push("master")
    await world.registry.snapshot()
    other = sqlite3.connect(world.directory / "registry.db")
    other.execute("UPDATE apps SET mode = 'paused'")
    other.commit()
    other.close()
    assert (await up_to_date(world)).apps[0].mode is AppMode.PAUSED


async def test_what_was_written_in_plain_sql_is_in_the_next_snapshot(world: World) -> None:
    await world.push("master")
    await world.registry.snapshot()

    def write(connection: Connection) -> None:
        connection.execute(text("UPDATE apps SET mode = 'paused'"))

    await world.registry._transact(write)
    assert (await up_to_date(world)).apps[0].mode is AppMode.PAUSED


async def test_one_that_could_not_be_read_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.push("master")
    broken: list[Any] = []

    def breaks(_row: object) -> None:
        broken.append(1)
        raise RuntimeError("broken")

    registry = world.registry
    monkeypatch.setattr(registry._snapshots._instance, "_make", breaks)
    with pytest.raises(RuntimeError):
        await registry.snapshot()
    monkeypatch.setattr(registry._snapshots._instance, "_make", rows.instance)
    assert broken
    assert len((await up_to_date(world)).instances) == 1
