"""Bandits in the registry: what is decided and what that does are written together, and once."""

from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.domain.bandit import Bandit, BanditPlan, TakenOut
from balancer.domain.rollout import Plan, RolloutState, Watch
from balancer.domain.split import Brief, SplitState
from balancer.errors import BanditNotFound, IllegalTransition, SplitNotFound, SplitRunning
from registries import MASTER, SHOP, TEST, World, open_world

pytestmark = pytest.mark.anyio
BLUE = BranchName("blue")
PLAN = BanditPlan(metric="purchase", step_seconds=90)


async def begun(world: World) -> Bandit:
    """Push master, test and blue, and begin a bandit."""
    for branch in (MASTER, TEST, BLUE):
        await world.push(branch)
    return await start(world)


async def start(world: World) -> Bandit:
    """Begin a bandit of test and blue."""
    return await world.registry.start_bandit(
        SHOP, (TEST, BLUE), MASTER, PLAN, expected_visitors=5000, brief=Brief(bandit=True), ticks=7.5
    )


async def test_what_a_bandit_was_begun_with_is_kept_and_its_weights_are_even(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await begun(world)
    async with open_world(tmp_path) as world:
        (found,) = await world.registry.open_bandits()
        assert (found.plan, found.watch, found.state) == (PLAN, Watch(ticks=7.5), RolloutState.RUNNING)
        assert found.arms == (MASTER, TEST, BLUE)
        assert await world.registry.bandit(SHOP) == found
        split = await world.registry.split(SHOP)
        assert (split.phase.weights, split.brief.bandit) == ({MASTER: 3334, TEST: 3333, BLUE: 3333}, True)


async def test_other_weights_and_their_decision_are_written_once_however_often_they_are_asked_for(
    tmp_path: Path,
) -> None:
    weights = {MASTER: 1000, TEST: 8000, BLUE: 1000}
    async with open_world(tmp_path) as world:
        before = await begun(world)
        after = replace(before, watch=Watch(seconds=90.0, ticks=97.5))
        moved = await world.registry.move_bandit(before, after, "go", weights=weights)
        assert (moved.phase, moved.watch.seconds) == (2, 90.0)
        with pytest.raises(IllegalTransition, match="has moved on meanwhile: it is running, in phase 2"):
            await world.registry.move_bandit(before, after, "go again", weights={**weights, TEST: 7000, BLUE: 2000})
        split = await world.registry.split(SHOP)
        assert [phase.weights[TEST] for phase in split.phases] == [3333, 8000]
        assert await world.registry.bandit_decisions(before.number) == ("go",)


async def test_who_was_taken_out_is_kept_also_where_the_branch_is_gone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.remove_branch(SHOP, BLUE)
        after = replace(before, out=(TakenOut(branch=BLUE, reason="the branch was taken down"),))
        moved = await world.registry.move_bandit(before, after, "out", weights={MASTER: 4000, TEST: 6000, BLUE: 0})
        assert (moved.out, moved.in_play) == (after.out, (MASTER, TEST))
        assert (await world.registry.split(SHOP)).phase.weights == {MASTER: 4000, TEST: 6000}
        assert await world.registry.bandit(SHOP) == moved


async def test_weights_that_its_split_refuses_are_not_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.cancel_split(SHOP)
        with pytest.raises(SplitNotFound):
            await world.registry.move_bandit(before, before, "go", weights={MASTER: 5000, TEST: 5000})
        assert await world.registry.bandit_decisions(before.number) == ()
        assert await world.registry.bandit(SHOP) == before


async def test_a_bandit_whose_split_was_followed_by_another_one_sets_no_weights_of_that(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.reshuffle_split(SHOP)
        with pytest.raises(IllegalTransition, match="the split s1 is over by now, and s2 runs"):
            await world.registry.move_bandit(before, before, "go", weights={MASTER: 5000, TEST: 5000})


async def test_a_bandit_that_is_won_or_ended_ends_its_split_with_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        won = await world.registry.end_bandit(before, replace(before, state=RolloutState.PROMOTING), "win", winner=TEST)
        assert (won.state, (await world.registry.split(SHOP)).winner) == (RolloutState.PROMOTING, TEST)
        with pytest.raises(IllegalTransition):
            await world.registry.end_bandit(before, replace(before, state=RolloutState.PROMOTING), "w", winner=TEST)
        done = await world.registry.move_bandit(won, replace(won, state=RolloutState.DONE, reason="it won"), None)
        assert (done.state, done.reason) == (RolloutState.DONE, "it won")
        assert await world.registry.open_bandits() == ()
        again = await start(world)
        await world.registry.end_bandit(again, replace(again, state=RolloutState.ABORTED), "no", winner=None)
        assert (await world.registry.split(SHOP)).state is SplitState.CANCELLED


async def test_the_split_that_a_bandit_leaves_behind_gives_way_to_a_rollout_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        first = await begun(world)
        with pytest.raises(SplitRunning):
            await start(world)
        left = {MASTER: 10_000, TEST: 0, BLUE: 0}
        await world.registry.move_bandit(first, replace(first, state=RolloutState.ROLLED_BACK), "no", weights=left)
        rollout = await world.registry.start_rollout(
            SHOP, TEST, MASTER, Plan(), expected_visitors=5000, brief=Brief(), ticks=0.0
        )
        with pytest.raises(SplitRunning):
            await start(world)
        await world.registry.move_rollout(rollout, replace(rollout, state=RolloutState.ROLLED_BACK), "no", weight=0)
        assert (await start(world)).split == "s3"
        states = [each.state for each in await world.registry.splits(SHOP)]
        assert states == [SplitState.RUNNING, SplitState.CANCELLED, SplitState.CANCELLED]


async def test_an_app_without_a_bandit_says_so_and_one_with_some_can_be_removed(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        with pytest.raises(BanditNotFound, match="shop has had no bandit yet"):
            await world.registry.bandit(SHOP)
        before = await begun(world)
        await world.registry.move_bandit(before, before, "wait")
        await world.registry.note_bandit_watch(before.number, Watch(seconds=60.0, step_seconds=60.0, ticks=67.5))
        assert (await world.registry.bandit(SHOP)).watch.seconds == 60.0
        for instance in (await world.registry.snapshot()).instances:
            await world.registry.move_instance(instance.id, type(instance.state).STOPPED)
        await world.registry.remove_app(SHOP)
        assert await world.registry.open_bandits() == ()


@pytest.mark.parametrize("winner", [None, TEST])
async def test_to_end_a_bandit_ends_no_split_but_its_own(tmp_path: Path, winner: BranchName | None) -> None:
    async with open_world(tmp_path) as world:
        before = await begun(world)
        await world.registry.cancel_split(SHOP)
        other = await world.registry.start_split(SHOP, {MASTER: 5000, TEST: 5000}, MASTER, 5000)
        with pytest.raises(IllegalTransition, match="the split s1 is over by now, and s2 runs"):
            await world.registry.end_bandit(before, replace(before, state=RolloutState.ABORTED), None, winner=winner)
        assert await world.registry.split(SHOP) == other
        assert await world.registry.bandit(SHOP) == before
