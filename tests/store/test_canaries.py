"""Canaries in the registry: they come with their rollout and go with their split, in one transaction."""

from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.release import ReleaseState
from balancer.domain.rollout import Plan, Rollout, RolloutState
from balancer.domain.split import CANARY, Brief, SplitState
from balancer.errors import Conflict, IllegalTransition, SplitRunning
from registries import MASTER, SHOP, TEST, World, open_world

pytestmark = pytest.mark.anyio
PLAN = Plan(steps=(100, 5000))
BRIEF = Brief(canary=CANARY)


async def begin(world: World) -> Rollout:
    """Begin a canary of what is live on master."""
    release = await world.start("canary")
    return await world.registry.start_rollout(
        *(SHOP, CANARY, MASTER, PLAN), expected_visitors=5000, brief=BRIEF, ticks=0.0, activating=release.id
    )


async def states(world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for release in await world.registry.releases(SHOP):
        found.setdefault(str(release.branch), []).append(release.state.value)
    return found


async def test_it_goes_live_with_its_rollout_and_its_split(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        rollout = await begin(world)
        canary = await world.registry.canary(SHOP)
        assert canary is not None
        assert (canary.rollout, canary.promoted, canary.stands) == (rollout, False, True)
        assert canary.release.state is ReleaseState.LIVE
        assert (await world.registry.split(SHOP)).brief == BRIEF


async def test_where_its_split_cannot_begin_it_is_not_live_either(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.split_evenly()
        with pytest.raises(SplitRunning):
            await begin(world)
        assert await world.registry.canary(SHOP) is None
        assert await states(world) == {"master": ["live"], "test": ["live"], "canary": ["starting"]}


async def test_the_next_one_ends_it_or_neither_changes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        first = await begin(world)
        release = await world.build("canary")
        with pytest.raises(IllegalTransition):
            await world.registry.start_rollout(
                *(SHOP, CANARY, MASTER, PLAN), expected_visitors=5000, brief=BRIEF, ticks=0.0, activating=release.id
            )
        assert await world.registry.rollout(SHOP) == first
        second = await begin(world)
        assert (second.number, second.split) == (first.number + 1, "s2")
        assert await world.registry.open_rollouts() == (second,)
        assert (await world.registry.split(SHOP, first.split)).state is SplitState.CANCELLED


async def test_with_a_rollout_that_ends_it_is_taken_down(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        before = await begin(world)
        await world.registry.end_rollout(before, replace(before, state=RolloutState.ABORTED), None, winner=None)
        assert await states(world) == {"master": ["live"], "canary": ["draining"]}


async def test_rolled_back_it_stays_until_something_ends_its_split(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        before = await begin(world)
        await world.registry.move_rollout(before, replace(before, state=RolloutState.ROLLED_BACK), None, weight=0)
        canary = await world.registry.canary(SHOP)
        assert canary is not None
        assert not canary.stands
        await world.push("test")
        await world.registry.start_rollout(
            *(SHOP, TEST, MASTER, PLAN), expected_visitors=5000, brief=Brief(), ticks=0.0
        )
        assert await world.registry.canary(SHOP) is None
        assert (await states(world))["canary"] == ["draining"]


async def test_as_the_winner_it_stays_until_the_default_branch_has_its_release(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        before = await begin(world)
        won = await world.registry.end_rollout(
            before, replace(before, state=RolloutState.PROMOTING), None, winner=CANARY
        )
        canary = await world.registry.canary(SHOP)
        assert canary is not None
        assert (canary.promoted, canary.rollout) == (True, won)
        await world.push()
        assert await world.registry.canary(SHOP) is None
        assert (await states(world))["canary"] == ["draining"]
        assert (await world.registry.app(SHOP)).promoted is None
        assert await world.registry.rollout(SHOP) == won, "who promotes it says that it is done"


async def test_a_branch_of_that_name_that_won_a_split_of_its_own_is_none(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push()
        before = await begin(world)
        await world.registry.end_rollout(before, replace(before, state=RolloutState.ABORTED), None, winner=None)
        await world.push("canary")
        assert await world.registry.canary(SHOP) is None
        await world.registry.start_split(SHOP, {MASTER: 5000, CANARY: 5000}, MASTER, 5000)
        await world.registry.conclude_split(SHOP, CANARY)
        assert await world.registry.canary(SHOP) is None
        await world.push()
        assert (await states(world))["canary"][0] == "live"


async def test_only_a_building_release_changes_its_branch(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        building = await world.build()
        assert (await world.registry.set_branch(building.id, CANARY)).branch == CANARY
        with pytest.raises(IllegalTransition, match="a starting release stays on its branch"):
            await world.registry.set_branch((await world.start()).id, CANARY)


async def test_a_canary_is_compared_with_the_default_branch_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.push("test")
        with pytest.raises(Conflict, match="the default branch of shop is test by now, and master was pushed"):
            await begin(world)
        assert await world.registry.canary(SHOP) is None
