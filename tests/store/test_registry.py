"""The registry as a whole: its transactions, its thread, its snapshot, and what a kill leaves of it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.snapshot import Snapshot
from balancer.domain.token import OPERATORS_OWN
from balancer.errors import Unavailable
from balancer.services.registry import Registry
from registries import BLOG, MASTER, SHOP, World, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_it_is_the_registry_that_the_services_ask_for(world: World) -> None:
    registry: Registry = world.registry
    assert (await registry.app(SHOP)).name == SHOP


async def test_a_new_platform_should_do_nothing(world: World) -> None:
    assert await world.registry.snapshot() == Snapshot(apps=await world.registry.apps())


async def test_the_snapshot_has_what_is_not_over(world: World) -> None:
    over = await world.push()
    drained = await world.push()
    live = await world.push("master", domains=["shop.example"])
    building, starting = await world.build("test"), await world.start("test")
    stuck = await world.start("test")
    await world.registry.fail_release(stuck.id, "it died")
    for release in (over, drained):
        for instance in await world.instances_of(release):
            await world.registry.move_instance(instance.id, InstanceState.STOPPED)
    await world.registry.retire_release(over.id)

    snapshot = await world.registry.snapshot()

    assert snapshot.apps == await world.registry.apps()
    assert [(release.id, release.state.value) for release in snapshot.releases] == [
        (drained.id, "draining"),
        (live.id, "live"),
        (building.id, "building"),
        (starting.id, "starting"),
        (stuck.id, "failed"),
    ]
    assert [instance.release_id for instance in snapshot.instances] == [live.id, starting.id, stuck.id]


async def test_the_snapshot_asks_the_same_few_questions_however_much_there_is(world: World) -> None:
    asked: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    await world.registry.snapshot()
    few = len(asked)
    await world.registry.create_app(BLOG, None)
    for branch in ("a", "b", "c"):
        await world.push(branch, app=BLOG, domains=[f"{branch}.example"])
    await world.split_evenly()
    asked.clear()
    await world.registry.snapshot()
    assert len(asked) == few < 10


async def test_calls_at_once_are_done_one_after_the_other(world: World) -> None:
    releases = await asyncio.gather(*(world.build() for _ in range(20)))
    assert [release.number for release in releases] == list(range(1, 21))


async def test_one_who_is_cancelled_in_the_middle_leaves_a_whole_transaction(world: World) -> None:
    old = await world.push()
    release = await world.start()
    with held(world.engine, "UPDATE releases") as (reached, go_on):
        activation = asyncio.create_task(world.registry.activate(release.id))
        assert await asyncio.to_thread(reached.wait, 10)
        activation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await activation
        go_on.set()
        assert [await world.state_of(old), await world.state_of(release)] == ["draining", "live"]


async def test_one_who_is_cancelled_before_its_turn_changes_nothing(world: World) -> None:
    with held(world.engine, "INSERT INTO tokens") as (reached, go_on):
        first = asyncio.create_task(world.registry.put_token(OPERATORS_OWN, "d"))
        assert await asyncio.to_thread(reached.wait, 10)
        second = asyncio.create_task(world.registry.create_app(BLOG, None))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await first
    assert [app.name for app in await world.registry.apps()] == [SHOP]


async def test_closing_waits_for_what_was_begun(world: World) -> None:
    task = asyncio.create_task(world.registry.create_app(BLOG, None))
    await asyncio.sleep(0)
    await world.registry.close()
    assert (await task).name == BLOG


async def test_a_full_disk_is_said_and_changes_nothing(world: World) -> None:
    await world.push()
    before = await world.registry.snapshot()
    event.listen(world.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    with pytest.raises(Unavailable, match="No space left on the disk of the data directory"):
        await world.registry.set_config(SHOP, {"BIG": "x" * 1_000_000})
    assert await world.registry.snapshot() == before
    assert await world.registry.config(SHOP) == {}


async def test_everything_is_there_when_it_is_opened_again(world: World) -> None:
    await world.split_evenly()
    await world.registry.set_config(SHOP, {"A": "1"})
    before = await world.registry.snapshot()
    await world.registry.close()
    async with open_world(world.directory) as again:
        assert await again.registry.snapshot() == before
        assert await again.registry.config(SHOP) == {"A": "1"}
        assert (await again.push()).id == before.releases[-1].id + 1


WRITER = """
import asyncio, sys
from pathlib import Path
from registries import SHOP, open_world

async def write():
    async with open_world(Path(sys.argv[1])) as world:
        while True:
            release = await world.push()
            print(release.id, flush=True)

asyncio.run(write())
"""


async def test_what_was_acknowledged_survives_a_kill_and_what_was_not_is_whole(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert writer.stdout is not None
    with writer, writer.stdout as acknowledged:
        seen = [int(next(acknowledged)) for _ in range(5)]
        os.kill(writer.pid, signal.SIGKILL)
        seen += map(int, acknowledged)
    async with open_world(tmp_path) as world:
        releases = await world.registry.releases(SHOP, limit=1000)
        assert {release.id for release in releases} >= set(seen)
        live = [release for release in releases if release.state is ReleaseState.LIVE]
        assert len(live) == 1
        assert live[0].id >= seen[-1]
        assert (await world.registry.release_before(SHOP, MASTER)).id == live[0].id - 1
        assert (await world.push()).number == releases[0].number + 1


@contextmanager
def held(engine: Engine, statement: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the registry's thread before `statement`; give what tells that, and what lets it go on."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, said: str, *_rest: Any) -> None:
        if said.startswith(statement):
            reached.set()
            go_on.wait(10)

    event.listen(engine, "before_cursor_execute", hold)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        event.remove(engine, "before_cursor_execute", hold)
