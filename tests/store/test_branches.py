"""Branches that go, and the one that is the default."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.domain.release import InstanceState
from balancer.domain.split import SplitState
from balancer.errors import BranchInUse, BranchNotFound, DomainTaken
from registries import BLOG, MASTER, SHOP, TEST, World, open_world, weights

pytestmark = pytest.mark.anyio
BLUE = BranchName("blue")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_a_branch_that_is_taken_down_drains_with_its_instances(world: World) -> None:
    await world.push("master")
    test = await world.push("test")
    release, split = await world.registry.remove_branch(SHOP, TEST)
    assert (release.id, release.state.value, split) == (test.id, "draining", None)
    assert [i.state for i in await world.instances_of(test)] == [InstanceState.DRAINING]
    assert list((await world.registry.snapshot()).live(SHOP)) == [MASTER]


async def test_its_share_of_the_split_goes_to_the_control(world: World) -> None:
    for branch in ("master", "test", "blue"):
        await world.push(branch)
    before = await world.registry.start_split(SHOP, weights(master=50, test=30, blue=20), MASTER, 5000)
    _, split = await world.registry.remove_branch(SHOP, TEST)
    assert split is not None
    assert (split.id, split.state, split.phase.number) == (before.id, SplitState.RUNNING, 2)
    assert split.phase.weights == weights(master=80, blue=20)


async def test_a_split_with_its_control_alone_is_over(world: World) -> None:
    await world.split_evenly()
    _, split = await world.registry.remove_branch(SHOP, TEST)
    assert split is not None
    assert split.state is SplitState.CANCELLED
    assert (await world.registry.snapshot()).splits == ()


async def test_a_branch_outside_the_split_leaves_it_alone(world: World) -> None:
    before = await world.split_evenly()
    await world.push("blue")
    assert (await world.registry.remove_branch(SHOP, BLUE))[1] is None
    assert await world.registry.split(SHOP) == before


async def test_the_default_branch_stays(world: World) -> None:
    await world.push("master")
    with pytest.raises(BranchInUse, match=r"make another one that first \(`balancer branches default shop BRANCH`\)"):
        await world.registry.remove_branch(SHOP, MASTER)
    assert MASTER in (await world.registry.snapshot()).live(SHOP)


async def test_the_control_of_a_running_split_stays_until_it_is_over(world: World) -> None:
    for branch in ("master", "test", "blue"):
        await world.push(branch)
    await world.registry.start_split(SHOP, weights(test=50, blue=50), TEST, 5000)
    with pytest.raises(BranchInUse, match=r"control of the running split s1 .*`balancer split cancel shop`"):
        await world.registry.remove_branch(SHOP, TEST)
    await world.registry.cancel_split(SHOP)
    await world.registry.remove_branch(SHOP, TEST)


@pytest.mark.parametrize("times", [0, 1])
async def test_a_branch_that_is_not_live_cannot_be_taken_down(world: World, times: int) -> None:
    await world.push("master")
    if times:
        await world.push("test")
        await world.registry.remove_branch(SHOP, TEST)
    with pytest.raises(BranchNotFound, match="shop has no live branch test; `balancer branches list shop`"):
        await world.registry.remove_branch(SHOP, TEST)


async def test_it_can_be_brought_back_while_it_drains(world: World) -> None:
    await world.push("master")
    test = await world.push("test")
    await world.registry.remove_branch(SHOP, TEST)
    assert (await world.registry.release_before(SHOP, TEST)).id == test.id
    assert (await world.registry.activate(test.id)).state.value == "live"
    assert [i.state for i in await world.instances_of(test)] == [InstanceState.HEALTHY]


async def test_another_default_branch_brings_its_domains(world: World) -> None:
    await world.push("master", domains=["shop.example"])
    await world.push("test", domains=["new.example"])
    app = await world.registry.set_default_branch(SHOP, TEST)
    assert (app.default_branch, app.domains) == (TEST, ("new.example",))


async def test_a_default_branch_is_live_and_its_domains_are_free(world: World) -> None:
    await world.push("master")
    with pytest.raises(BranchNotFound):
        await world.registry.set_default_branch(SHOP, TEST)
    await world.registry.create_app(BLOG, None)
    await world.push("master", app=BLOG, domains=["blog.example"])
    await world.push("test", domains=["blog.example"])
    with pytest.raises(DomainTaken):
        await world.registry.set_default_branch(SHOP, TEST)
    assert (await world.registry.app(SHOP)).default_branch == MASTER
