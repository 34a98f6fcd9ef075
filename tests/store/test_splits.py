"""Splits in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.errors import AppNotFound, BranchNotFound, InvalidWeights, SplitNotFound, SplitRunning
from registries import BLOG, MASTER, SHOP, TEST, World, open_world, weights

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_split_begins_in_its_first_phase(world: World) -> None:
    await world.push("master")
    await world.push("test")
    split = await world.registry.start_split(SHOP, weights(test=0.01, master=99.99), MASTER, 12_000)
    assert split == Split(
        id=SplitId("s1"),
        app=SHOP,
        control=MASTER,
        phases=(Phase(number=1, weights={TEST: 1, MASTER: 9_999}, started_at=world.clock.now),),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=12_000,
    )
    assert split.variants == (TEST, MASTER)
    assert await world.registry.split(SHOP) == split
    assert (await world.registry.snapshot()).splits == (split,)


async def test_an_app_has_one_running_split(world: World) -> None:
    await world.split_evenly()
    with pytest.raises(SplitRunning, match="a running split, s1"):
        await world.registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000)


async def test_every_branch_of_a_split_must_be_live(world: World) -> None:
    await world.push("master")
    await world.start("test")
    with pytest.raises(BranchNotFound, match="shop has no live branch test; push it first"):
        await world.registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000)
    with pytest.raises(SplitNotFound):
        await world.registry.split(SHOP)


async def test_a_branch_of_another_app_is_not_this_ones(world: World) -> None:
    await world.registry.create_app(BLOG, None)
    await world.push("master")
    await world.push("test", app=BLOG)
    with pytest.raises(BranchNotFound):
        await world.registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000)


async def test_the_control_is_one_of_the_branches(world: World) -> None:
    for branch in ("master", "test", "other"):
        await world.push(branch)
    with pytest.raises(InvalidWeights, match="the control other"):
        await world.registry.start_split(SHOP, weights(master=50, test=50), BranchName("other"), 5000)


async def test_weights_that_do_not_add_up_are_refused(world: World) -> None:
    await world.split_evenly()
    with pytest.raises(InvalidWeights, match="add up to 90 %"):
        await world.registry.set_weights(SHOP, weights(master=50, test=40))
    await world.registry.cancel_split(SHOP)
    with pytest.raises(InvalidWeights, match="at least two branches"):
        await world.registry.start_split(SHOP, weights(master=100), MASTER, 5000)


async def test_new_weights_are_a_new_phase(world: World) -> None:
    first = await world.split_evenly()
    world.clock.advance(60)
    split = await world.registry.set_weights(SHOP, weights(test=90, master=10))
    second = Phase(number=2, weights={TEST: 9_000, MASTER: 1_000}, started_at=world.clock.now)
    assert split.phases == (first.phase, second)
    assert split.variants == (TEST, MASTER)
    assert await world.registry.split(SHOP) == split
    assert (await world.registry.snapshot()).splits == (split,)


async def test_the_weights_it_has_change_nothing(world: World) -> None:
    split = await world.split_evenly()
    world.clock.advance(60)
    assert await world.registry.set_weights(SHOP, weights(test=50, master=50)) == split
    assert await world.registry.split(SHOP) == split


async def test_branches_join_and_leave_but_the_control_stays(world: World) -> None:
    await world.split_evenly()
    await world.push("other")
    split = await world.registry.set_weights(SHOP, weights(master=40, test=30, other=30))
    assert split.variants == (MASTER, TEST, "other")
    split = await world.registry.set_weights(SHOP, weights(other=60, master=40))
    assert split.variants == ("other", MASTER)
    with pytest.raises(InvalidWeights, match="the control master must stay"):
        await world.registry.set_weights(SHOP, weights(test=50, other=50))
    assert await world.registry.split(SHOP) == split


async def test_a_branch_that_joins_must_be_live(world: World) -> None:
    split = await world.split_evenly()
    with pytest.raises(BranchNotFound, match="no live branch other"):
        await world.registry.set_weights(SHOP, weights(master=40, test=30, other=30))
    assert await world.registry.split(SHOP) == split


async def test_a_cancelled_split_has_an_end_and_no_new_weights(world: World) -> None:
    running = await world.split_evenly()
    world.clock.advance(60)
    ended = await world.registry.cancel_split(SHOP)
    assert (ended.state, ended.ended_at, ended.phases) == (
        SplitState.CANCELLED,
        world.clock.now,
        running.phases,
    )
    assert await world.registry.split(SHOP) == ended
    assert (await world.registry.snapshot()).splits == ()
    with pytest.raises(SplitNotFound, match="no running split"):
        await world.registry.cancel_split(SHOP)
    with pytest.raises(SplitNotFound, match="no running split"):
        await world.registry.set_weights(SHOP, weights(master=40, test=60))


async def test_a_number_is_never_given_out_again(world: World) -> None:
    ids = [(await world.split_evenly()).id]
    for _ in range(2):
        await world.registry.cancel_split(SHOP)
        ids.append((await world.registry.start_split(SHOP, weights(master=50, test=50), TEST, 5000)).id)
    assert ids == ["s1", "s2", "s3"]
    assert (await world.registry.split(SHOP)).id == "s3"


async def test_the_split_of_an_app_that_had_none_is_missing(world: World) -> None:
    for call in (
        world.registry.split(SHOP),
        world.registry.set_weights(SHOP, weights(master=50, test=50)),
        world.registry.cancel_split(SHOP),
    ):
        with pytest.raises(SplitNotFound):
            await call


async def test_a_split_of_no_app_is_refused(world: World) -> None:
    even = weights(master=50, test=50)
    for call in (
        world.registry.split(BLOG),
        world.registry.start_split(BLOG, even, MASTER, 5000),
        world.registry.set_weights(BLOG, even),
        world.registry.cancel_split(BLOG),
    ):
        with pytest.raises(AppNotFound):
            await call
