"""Schedules: hours and freezes hold rollouts, rollbacks stay armed, and a clock that is set lets nothing pass."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.clock_mark import DOUBT_SECONDS
from balancer.domain.rollout import Plan, RolloutState
from balancer.domain.rollout_decision import STEP_VISITORS
from rollout_shops import RolloutShop, rollout_shop
from values import BLOG, SHOP, TEST

pytestmark = pytest.mark.anyio
# The clock begins on Sunday, 2026-03-01, at 12:00 UTC, which is 13:00 in Vienna.
PLAN = Plan(steps=(1000, 5000, 10_000), step_seconds=60)
OPEN, CLOSED = replace(PLAN, hours="Sun 12:00-18:00"), replace(PLAN, hours="Sun 14:00-18:00")
HOUR = 3600


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[RolloutShop]:
    async with rollout_shop(tmp_path) as made:
        yield made


async def begun(shop: RolloutShop, plan: Plan) -> None:
    """Begin a rollout that lacks nothing for its next step."""
    rollout = await shop.rollouts.start(SHOP, TEST, plan)
    visit(shop, rollout.weight)
    shop.clock.advance(60)


def visit(shop: RolloutShop, weight: int = PLAN.steps[0]) -> None:
    """Let as many visitors come as a step with a weight needs, by the weights."""
    shop.visit(master=STEP_VISITORS * (10_000 - weight) // weight, test=STEP_VISITORS)


async def frozen(shop: RolloutShop, hours: int, app: object = None) -> None:
    """Freeze for so many hours from now on."""
    now = shop.clock.now
    await shop.platform.registry.add_freeze(app, now, now + timedelta(hours=hours), "Fair")  # type: ignore[arg-type]


async def test_outside_its_hours_a_rollout_takes_no_step_and_in_them_it_does(shop: RolloutShop) -> None:
    await begun(shop, CLOSED)
    assert (await shop.look()).step == 0
    assert await shop.last_rule() == "outside hours"
    standing = await shop.rollouts.standing(SHOP)
    assert standing.hold is not None
    assert standing.hold.ends == "2026-03-01T14:00+01:00"
    shop.clock.advance(HOUR)
    assert (await shop.look()).step == 1
    assert (await shop.rollouts.standing(SHOP)).hold is None


async def test_in_its_hours_it_is_not_held(shop: RolloutShop) -> None:
    await begun(shop, OPEN)
    assert (await shop.look()).step == 1


async def test_outside_its_hours_it_is_not_promoted_by_itself(shop: RolloutShop) -> None:
    await begun(shop, replace(CLOSED, steps=(5000, 10_000), auto_promote=True))
    assert (await shop.look()).state is RolloutState.RUNNING
    shop.clock.advance(HOUR)
    assert (await shop.look()).state is not RolloutState.RUNNING


@pytest.mark.parametrize("plan", [CLOSED, PLAN])
async def test_a_rollback_stays_armed_outside_the_hours_and_in_a_freeze(shop: RolloutShop, plan: Plan) -> None:
    await begun(shop, plan)
    await frozen(shop, 1)
    shop.visit(test=40, failing=True)
    assert (await shop.look()).state is RolloutState.ROLLED_BACK


async def test_a_freeze_that_begins_holds_a_rollout_where_it_is_until_it_ends_or_is_removed(shop: RolloutShop) -> None:
    await begun(shop, PLAN)
    await frozen(shop, 1)
    assert (await shop.look()).step == 0
    assert await shop.last_rule() == "freeze"
    shop.clock.advance(HOUR)
    assert (await shop.look()).step == 1
    shop.visit(2, master=STEP_VISITORS, test=STEP_VISITORS)
    await frozen(shop, 1)
    shop.clock.advance(60)
    assert (await shop.look()).step == 1
    for freeze in await shop.platform.registry.freezes():
        await shop.platform.registry.remove_freeze(freeze.number)
    assert (await shop.look()).step == 2


async def test_a_freeze_of_another_app_holds_nothing(shop: RolloutShop) -> None:
    await shop.platform.registry.create_app(BLOG, None)
    await begun(shop, PLAN)
    await frozen(shop, 1, BLOG)
    assert (await shop.look()).step == 1


async def test_what_an_operator_asks_for_goes_through_and_is_told(shop: RolloutShop) -> None:
    await begun(shop, CLOSED)
    await frozen(shop, 9)
    rollout = await shop.rollouts.advance(SHOP)
    assert rollout.step == 1
    hold = await shop.rollouts.hold(rollout)
    assert hold is not None
    assert "there is a freeze until" in hold.reason
    told: list[str] = []
    assert (await shop.rollouts.promote(SHOP, told.append)).state is RolloutState.DONE
    assert "Promoted all the same, since an operator wants it: there is a freeze until" in told[0]


# By a clock that was set back an hour nobody has come yet.
@pytest.mark.parametrize(
    ("by", "then"), [(HOUR, "outside hours"), (-HOUR, "not enough data"), (4, "outside hours"), (-4, "outside hours")]
)
async def test_a_clock_that_is_set_lets_nothing_pass_for_a_while(shop: RolloutShop, by: int, then: str) -> None:
    await begun(shop, replace(PLAN, hours="Sun 09:00-13:00"))
    assert (await shop.look()).step == 0
    shop.clock.set(by)
    assert (await shop.look()).step == 0
    assert await shop.last_rule() == "clock was set"
    shop.clock.advance(DOUBT_SECONDS - 10)
    assert (await shop.look()).step == 0
    shop.clock.advance(20)
    await shop.look()
    assert await shop.last_rule() == then, "the clock is believed again"


async def test_a_clock_that_is_set_beyond_a_freeze_does_not_end_it(shop: RolloutShop) -> None:
    await begun(shop, PLAN)
    await frozen(shop, 1)
    await shop.look()
    shop.clock.set(2 * HOUR)
    assert (await shop.look()).step == 0
    shop.clock.set(-2 * HOUR)
    assert (await shop.look()).step == 0
    assert await shop.last_rule() == "clock was set"


async def test_while_the_clock_is_in_doubt_a_rollback_stays_armed(shop: RolloutShop) -> None:
    await begun(shop, CLOSED)
    await shop.look()
    shop.clock.set(HOUR)
    shop.visit(test=40, failing=True)
    assert (await shop.look()).state is RolloutState.ROLLED_BACK


async def test_what_has_neither_hours_nor_freezes_goes_by_ticks_alone(shop: RolloutShop) -> None:
    await begun(shop, PLAN)
    await shop.rollouts.hold(await shop.platform.registry.rollout(SHOP))
    shop.clock.set(3 * 86_400)
    assert (await shop.look()).step == 1


async def test_a_clock_that_is_set_while_no_daemon_runs_is_noticed_by_the_next_one(shop: RolloutShop) -> None:
    await begun(shop, CLOSED)
    assert (await shop.look()).step == 0
    shop.clock.set(HOUR)
    other = shop.another_daemon()
    assert (await shop.look(other)).step == 0
    assert await shop.last_rule() == "clock was set"
    shop.clock.advance(DOUBT_SECONDS - 60)
    third = shop.another_daemon()
    assert (await shop.look(third)).step == 0, "nor does another start help"
    shop.clock.advance(60)
    assert (await shop.look(third)).step == 1
