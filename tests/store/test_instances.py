"""Instances in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.manifest import WEB
from balancer.domain.release import Instance, InstanceState, ProcessId
from balancer.errors import Conflict, IllegalTransition, NotFound
from registries import World, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


PROCESS = ProcessId(boot_id="b", pid=7, start_ticks=2**40)


async def test_a_new_instance_starts_and_holds_its_port(world: World) -> None:
    release = await world.build()
    instance = await world.registry.open_instance(release.id, WEB, 2, 20007)
    assert instance == Instance(
        id=1,
        release_id=release.id,
        index=2,
        port=20007,
        state=InstanceState.STARTING,
        process=None,
        draining_since=None,
    )
    assert await world.registry.leased_ports() == {20007}
    assert await world.instances_of(release) == (instance,)


async def test_a_port_is_free_when_its_instance_has_stopped_and_not_before(world: World) -> None:
    release = await world.build()
    instance = await world.registry.open_instance(release.id, WEB, 1, 20007)
    for state in (InstanceState.HEALTHY, InstanceState.DRAINING):
        await world.registry.move_instance(instance.id, state)
        with pytest.raises(Conflict, match="port 20007 is held by another instance"):
            await world.registry.open_instance(release.id, WEB, 2, 20007)
    await world.registry.move_instance(instance.id, InstanceState.STOPPED)
    assert await world.registry.leased_ports() == set()
    assert (await world.registry.open_instance(release.id, WEB, 2, 20007)).id == instance.id + 1
    assert await world.registry.leased_ports() == {20007}


async def test_the_process_of_an_instance_is_remembered_and_replaced(world: World) -> None:
    release = await world.build()
    instance = await world.registry.open_instance(release.id, WEB, 1, 20000)
    await world.registry.record_process(instance.id, PROCESS)
    assert [found.process for found in await world.instances_of(release)] == [PROCESS]
    again = ProcessId(boot_id="c", pid=8, start_ticks=0)
    await world.registry.record_process(instance.id, again)
    assert [found.process for found in await world.instances_of(release)] == [again]


async def test_draining_since_is_there_while_it_drains(world: World) -> None:
    release = await world.build()
    instance = await world.healthy_instance(release)
    began = world.clock.advance(5)
    for state, since in (
        (InstanceState.DRAINING, began),
        (InstanceState.DRAINING, began),
        (InstanceState.HEALTHY, None),
    ):
        await world.registry.move_instance(instance.id, state)
        (found,) = await world.instances_of(release)
        assert (found.state, found.draining_since) == (state, since)
        world.clock.advance(5)


async def test_an_instance_does_not_come_back_from_stopped(world: World) -> None:
    instance = await world.healthy_instance(await world.build())
    await world.registry.move_instance(instance.id, InstanceState.STOPPED)
    await world.registry.move_instance(instance.id, InstanceState.STOPPED)
    with pytest.raises(IllegalTransition, match="a stopped instance cannot become healthy"):
        await world.registry.move_instance(instance.id, InstanceState.HEALTHY)


async def test_where_an_instance_answers_is_noted(world: World) -> None:
    release = await world.build()
    instance = await world.healthy_instance(release)
    assert instance.host == "127.0.0.1"
    await world.registry.record_host(instance.id, "::1")
    (found,) = await world.instances_of(release)
    assert found.host == "::1"


async def test_one_that_takes_the_place_of_another_has_its_number_and_another_port(world: World) -> None:
    release = await world.build()
    before = await world.healthy_instance(release)
    after = await world.registry.replace_instance(before.id, before.port + 1)
    assert (after.label, after.port, after.state) == (before.label, before.port + 1, InstanceState.UNHEALTHY)
    assert [each.id for each in await world.instances_of(release)] == [after.id]
    assert await world.registry.leased_ports() == {after.port}
    again = await world.registry.replace_instance(after.id, before.port)
    await world.registry.move_instance(again.id, InstanceState.DRAINING)
    with pytest.raises(IllegalTransition, match="a draining instance is not replaced"):
        await world.registry.replace_instance(again.id, before.port + 2)
    assert [each.id for each in await world.instances_of(release)] == [again.id]


async def test_who_moves_an_instance_may_say_from_where(world: World) -> None:
    instance = await world.healthy_instance(await world.build())
    move = world.registry.move_instance
    await move(instance.id, InstanceState.DRAINING)
    with pytest.raises(IllegalTransition, match="the instance is draining by now, and not unhealthy"):
        await move(instance.id, InstanceState.HEALTHY, before=InstanceState.UNHEALTHY)
    await move(instance.id, InstanceState.HEALTHY, before=InstanceState.DRAINING)


async def test_an_instance_that_is_not_there_is_said_to_be_missing(world: World) -> None:
    with pytest.raises(NotFound, match="no instance with the id 99"):
        await world.registry.move_instance(99, InstanceState.HEALTHY)
    with pytest.raises(NotFound, match="no instance with the id 99"):
        await world.registry.record_process(99, PROCESS)
