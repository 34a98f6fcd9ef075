"""Plans of rollouts from the visitors of the last split, and none where nobody knows how many come."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.domain.calendar import TimeZone
from balancer.domain.rollout import Goal, Plan
from balancer.errors import AppNotFound, BranchNotFound, RolloutNotFound
from balancer.services.expectation import Expectations
from balancer.services.planning import Planning
from balancer.services.rollout_planning import RolloutForecast, RolloutPlanning, RolloutWish
from balancer.services.schedule import Schedules
from rollout_shops import RolloutShop, rollout_shop
from values import BLOG, MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
PLAN = Plan(steps=(1000, 5000, 10_000), step_seconds=3600)
WISH = RolloutWish(branch=TEST, plan=PLAN)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[RolloutShop]:
    async with rollout_shop(tmp_path) as made:
        yield made


def planning_of(shop: RolloutShop) -> RolloutPlanning:
    registry, clock = shop.platform.registry, shop.clock
    expectations = Expectations(registry, shop.ledger, clock)
    return RolloutPlanning(
        registry,
        shop.rollouts,
        expectations,
        Planning(registry, shop.platform.metrics, expectations),
        Schedules(registry, clock, TimeZone("Europe/Vienna")),
        clock=clock,
    )


async def planned(shop: RolloutShop, wish: RolloutWish = WISH) -> RolloutForecast:
    return await planning_of(shop).plan(SHOP, wish)


async def test_without_traffic_it_says_that_there_is_not_enough_data_and_gives_no_date(shop: RolloutShop) -> None:
    found = await planned(shop)
    assert found.lacking is not None
    assert found.lacking.startswith("not enough data: no split of shop has had 100 visitors")
    assert [step.begins for step in found.steps] == ["2026-03-01T13:00+01:00", None, None]
    assert (found.visitors_a_day, found.everybody) == (None, None)


async def test_of_a_branch_that_is_not_live_nothing_is_planned_and_those_that_are_get_named(shop: RolloutShop) -> None:
    with pytest.raises(BranchNotFound, match=r"^shop has no live branch tset; there are master, test: name one"):
        await planned(shop, replace(WISH, branch=BranchName("tset")))
    assert (await planned(shop, replace(WISH, branch=MASTER))).branch == "master", "as its next push would be a canary"


async def test_the_last_split_tells_how_many_visitors_come_a_day(shop: RolloutShop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=900, test=100)
    shop.clock.advance(2 * 86_400)
    await shop.rollouts.abort(SHOP)
    found = await planned(shop)
    assert (found.visitors_a_day, found.visitors_from, found.lacking) == (500, "s1", None)
    assert [step.visitors_a_day for step in found.steps] == [50, 250, 500]
    assert [step.seconds for step in found.steps] == [4 * 86_400, 0.8 * 86_400, None]
    assert found.everybody == "2026-03-08T08:12+01:00"


async def test_where_every_split_is_short_as_canaries_are_the_last_one_with_visitors_tells(shop: RolloutShop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=90, test=9)
    shop.clock.advance(600)
    assert (await planned(shop)).visitors_a_day is None, "99 visitors are too few"
    shop.visit(master=1)
    found = await planned(shop)
    assert (found.visitors_a_day, found.visitors_from, found.visitors_within) == (14_400, "s1", 600)
    assert found.lacking is None
    await shop.rollouts.abort(SHOP)
    await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (await planned(shop, replace(WISH, branch=None))).visitors_from == "s1", "s2 has begun just now"
    for _ in range(3):
        await shop.rollouts.abort(SHOP)
        await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (await planned(shop)).visitors_a_day is None, "it is too long ago"


async def test_who_begins_one_is_told_in_a_sentence_when_everybody_gets_it_where_that_is_known(
    shop: RolloutShop,
) -> None:
    canary = replace(PLAN, auto_promote=True)
    assert await planning_of(shop).outlook(await shop.rollouts.start(SHOP, TEST, canary)) is None
    shop.visit(master=900, test=100)
    shop.clock.advance(86_400)
    await shop.rollouts.abort(SHOP)
    begun = await shop.rollouts.start(SHOP, TEST, canary)
    assert await planning_of(shop).outlook(begun) == (
        "at the present traffic everybody gets it at 2026-03-04 22:36+01:00, at the earliest"
    )
    assert await shop.platform.rollout_planning.outlook(begun) is None, (
        "no ledger answers, and a push does not fail for that"
    )


async def test_of_a_rollout_that_goes_on_the_rest_is_told(shop: RolloutShop) -> None:
    with pytest.raises(RolloutNotFound):
        await planned(shop, replace(WISH, branch=None))
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=900, test=100)
    await shop.look()
    shop.clock.advance(2 * 86_400 - 3)
    found = await planned(shop, replace(WISH, branch=None))
    assert (found.branch, found.visitors_a_day) == ("test", 500)
    assert found.steps[0].seconds == 2 * 86_400, "100 of the 200 are there"
    await shop.rollouts.abort(SHOP)
    with pytest.raises(RolloutNotFound, match="no rollout of shop goes on; name the branch"):
        await planned(shop, replace(WISH, branch=None))


async def test_hours_and_freezes_are_taken_into_account(shop: RolloutShop) -> None:
    now = shop.clock.now
    await shop.platform.registry.add_freeze(SHOP, now, now + timedelta(days=1), "Fair")
    wish = replace(WISH, visitors_a_day=100_000, plan=replace(PLAN, hours="Mon-Fri 15:00-16:30"))
    found = await planned(shop, wish)
    assert [step.begins for step in found.steps] == [
        "2026-03-01T13:00+01:00",
        "2026-03-02T15:00+01:00",
        "2026-03-02T16:00+01:00",
    ]
    assert (found.hours, found.timezone) == ("Mon-Fri 15:00-16:30", "Europe/Vienna")


async def test_the_verdict_of_the_metric_is_what_a_plan_of_a_split_says(shop: RolloutShop) -> None:
    wish = replace(WISH, visitors_a_day=10_000, baseline=0.05, plan=replace(PLAN, metric="purchase"))
    found = await planned(shop, wish)
    assert found.verdict is not None
    assert found.verdict.days is not None
    assert found.verdict.days > 7
    assert "a gain of 0.005 beside 0.05, with 80% certainty" in found.verdict.because
    assert found.verdict.window_seconds == 3 * 86_400
    assert found.steps[1].seconds == (found.verdict.days + 3) * 86_400, "the last visitor counts three days later"
    larger = await planned(shop, replace(wish, effect=0.5))
    assert larger.verdict is not None
    assert larger.verdict.days is not None
    assert larger.verdict.days < 7
    assert larger.steps[1].waits_for == "7 days"
    not_worse = await planned(shop, replace(wish, plan=replace(PLAN, metric="purchase", goal=Goal.NOT_WORSE)))
    assert not_worse.verdict is not None
    assert "a loss of 0.001 beside 0.05" in not_worse.verdict.because


async def test_a_metric_that_nobody_knows_anything_of_is_said(shop: RolloutShop) -> None:
    found = await planned(shop, replace(WISH, visitors_a_day=10_000, plan=replace(PLAN, metric="purchase")))
    assert found.lacking is not None
    assert found.lacking.startswith("not enough data: shop has had no split yet that tells what purchase is")
    assert found.everybody is None
    with pytest.raises(AppNotFound):
        await shop.rollouts.standing(BLOG)
