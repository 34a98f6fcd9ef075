"""Rollouts in the registry: what is decided and what that does are written together, and once."""

from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState, Watch
from balancer.domain.split import Brief, SplitState
from balancer.errors import IllegalTransition, RolloutNotFound, SplitNotFound, SplitRunning
from registries import MASTER, SHOP, TEST, World, open_world

pytestmark = pytest.mark.anyio
PLAN = Plan(steps=(100, 5000), metric="purchase", goal=Goal.NOT_WORSE, margin=0.05, auto_promote=True, step_seconds=90)


async def begun(world: World) -> Rollout:
    """Push master and test, and begin a rollout of test."""
    await world.push("master")
    await world.push("test")
    return await start(world)


async def start(world: World) -> Rollout:
    """Begin a rollout of test."""
    return await world.registry.start_rollout(
        SHOP, TEST, MASTER, PLAN, expected_visitors=5000, brief=Brief(), ticks=7.5
    )


async def test_what_a_rollout_was_begun_with_is_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begun(world)
    async with open_world(tmp_path) as world:
        (found,) = await world.registry.open_rollouts()
        assert (found.plan, found.watch, found.state) == (PLAN, Watch(ticks=7.5), RolloutState.RUNNING)
        assert await world.registry.rollout(SHOP) == found


async def test_a_step_and_its_decision_are_written_once_however_often_they_are_asked_for(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        after = replace(before, step=1, watch=Watch(seconds=90.0, ticks=97.5))
        moved = await world.registry.move_rollout(before, after, "go", weight=5000)
        assert (moved.step, moved.phase, moved.watch.seconds) == (1, 2, 90.0)
        with pytest.raises(IllegalTransition, match="has moved on meanwhile: it is running, at step 2"):
            await world.registry.move_rollout(before, after, "go again", weight=10_000)
        split = await world.registry.split(SHOP)
        assert [phase.weights[TEST] for phase in split.phases] == [100, 5000]
        assert await world.registry.decisions(before.number) == ("go",)


async def test_a_step_that_its_split_refuses_is_not_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.remove_branch(SHOP, TEST)
        with pytest.raises(SplitNotFound):
            await world.registry.move_rollout(before, replace(before, step=1), "go", weight=5000)
        assert await world.registry.decisions(before.number) == ()
        assert await world.registry.rollout(SHOP) == before


async def test_a_rollout_that_wins_or_is_ended_ends_its_split_with_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        won = await world.registry.end_rollout(
            before, replace(before, state=RolloutState.PROMOTING), "win", winner=TEST
        )
        assert won.state is RolloutState.PROMOTING
        assert (await world.registry.split(SHOP)).winner == TEST
        assert (await world.registry.app(SHOP)).promoted == TEST
        with pytest.raises(IllegalTransition):
            await world.registry.end_rollout(before, replace(before, state=RolloutState.PROMOTING), "w", winner=TEST)
        done = await world.registry.move_rollout(won, replace(won, state=RolloutState.DONE, reason="it won"), None)
        assert (done.state, done.reason) == (RolloutState.DONE, "it won")
        assert await world.registry.open_rollouts() == ()


async def test_the_split_that_a_rollback_leaves_behind_gives_way_to_the_next_rollout(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        first = await begun(world)
        with pytest.raises(SplitRunning):
            await start(world)
        await world.registry.move_rollout(first, replace(first, state=RolloutState.ROLLED_BACK), "no", weight=0)
        assert await world.registry.open_rollouts() == ()
        assert [each.state for each in await world.registry.rollouts_of_open_splits()] == [RolloutState.ROLLED_BACK]
        second = await start(world)
        assert second.split == "s2"
        assert await world.registry.rollouts_of_open_splits() == (second,)
        older, newer = (await world.registry.splits(SHOP))[::-1]
        assert (older.state, newer.state) == (SplitState.CANCELLED, SplitState.RUNNING)


async def test_an_app_without_a_rollout_says_so_and_one_with_some_can_be_removed(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        with pytest.raises(RolloutNotFound, match="shop has had no rollout yet"):
            await world.registry.rollout(SHOP)
        before = await begun(world)
        await world.registry.move_rollout(before, before, "wait")
        for instance in (await world.registry.snapshot()).instances:
            await world.registry.move_instance(instance.id, type(instance.state).STOPPED)
        await world.registry.remove_app(SHOP)
        assert await world.registry.open_rollouts() == ()


@pytest.mark.parametrize("winner", [None, TEST])
async def test_to_end_a_rollout_ends_no_split_but_its_own(tmp_path: Path, winner: BranchName | None) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.cancel_split(SHOP)
        other = await world.registry.start_split(SHOP, {MASTER: 5000, TEST: 5000}, MASTER, 5000)
        with pytest.raises(IllegalTransition, match="the split s1 is over by now, and s2 runs"):
            await world.registry.end_rollout(before, replace(before, state=RolloutState.ABORTED), None, winner=winner)
        assert await world.registry.split(SHOP) == other
        assert await world.registry.rollout(SHOP) == before
