"""Looks at splits, and reports of those that are over: kept once, and as they were."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.release import InstanceState
from balancer.domain.split import SplitId
from balancer.errors import SplitNotFound
from registries import SHOP, World, open_world

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_looks_come_back_in_their_order_and_only_those_of_the_split(world: World) -> None:
    first = (await world.split_evenly()).id
    second = (await world.registry.reshuffle_split(SHOP)).id
    await world.registry.keep_look(first, world.clock.now + DAY, "later")
    await world.registry.keep_look(first, world.clock.now, "earlier")
    await world.registry.keep_look(second, world.clock.now, "another's")
    assert await world.registry.looks(first) == ("earlier", "later")
    assert await world.registry.looks(second) == ("another's",)


async def test_a_look_that_was_kept_never_changes(world: World) -> None:
    split = (await world.split_evenly()).id
    await world.registry.keep_look(split, world.clock.now, "what was seen")
    await world.registry.keep_look(split, world.clock.now, "something else")
    assert await world.registry.looks(split) == ("what was seen",)


async def test_the_first_report_that_was_kept_stays(world: World) -> None:
    split = (await world.split_evenly()).id
    assert await world.registry.kept_report(split) is None
    assert await world.registry.keep_report(split, "first") == "first"
    assert await world.registry.keep_report(split, "second") == "first"
    assert await world.registry.kept_report(split) == "first"


async def test_what_was_kept_goes_with_the_app(world: World) -> None:
    split = (await world.split_evenly()).id
    await world.registry.keep_look(split, world.clock.now, "seen")
    await world.registry.keep_report(split, "all of it")
    for instance in (await world.registry.snapshot()).instances:
        await world.registry.move_instance(instance.id, InstanceState.DRAINING)
        await world.registry.move_instance(instance.id, InstanceState.STOPPED)
    await world.registry.remove_app(SHOP)
    assert await world.registry.looks(split) == ()
    assert await world.registry.kept_report(split) is None
    await world.registry.create_app(SHOP, None)
    with pytest.raises(SplitNotFound):
        await world.registry.split(SHOP, SplitId(split))
