"""What a rollout does by itself is in the audit log, once, with the rule and the figures."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.audit import DONE, PLATFORM, AuditEntry
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.rollout import Plan, RolloutState
from balancer.domain.rollout_decision import STEP_VISITORS
from balancer.domain.split import Brief
from balancer.errors import IllegalTransition
from registries import COMMIT
from rollout_shops import RolloutShop, rollout_shop
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
PLAN = Plan(steps=(1000, 5000, 10_000), step_seconds=60)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[RolloutShop]:
    async with rollout_shop(tmp_path) as made:
        yield made


async def noted(shop: RolloutShop) -> list[AuditEntry]:
    """Return what was noted, the oldest first."""
    return list(reversed(await shop.platform.registry.audit(SHOP, None, 100)))


async def test_a_step_and_a_rollback_are_noted_with_their_rule_and_figures(shop: RolloutShop) -> None:
    before = await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    await shop.look()
    with pytest.raises(IllegalTransition):
        await shop.another_daemon().look(before)
    shop.visit(2, test=40, failing=True)
    await shop.look()
    step, back = await noted(shop)
    assert (step.who, step.what, step.outcome) == (PLATFORM, "rollout step", DONE)
    assert step.summary == "branch test, to 50 %, step passed: 200 visitors, and no guardrail breached"
    assert back.what == "rollout rollback"
    assert back.summary.startswith(
        "branch test, to 0 %, guardrail: errors: 40 visitors of the branch, 0 of the control"
    )


async def test_a_promotion_by_itself_is_noted_and_one_that_an_operator_asks_for_is_the_calls(shop: RolloutShop) -> None:
    await shop.rollouts.start(SHOP, TEST, replace(PLAN, steps=(5000, 10_000), auto_promote=True))
    shop.visit(master=STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    assert (await shop.look()).state is RolloutState.DONE
    (entry,) = await noted(shop)
    assert (entry.who, entry.what) == (PLATFORM, "rollout promotion")
    assert entry.summary.startswith("branch test, to 100 %, fit for everybody: 200 visitors")


async def test_what_an_operator_asks_for_is_not_noted_here_since_the_call_is(shop: RolloutShop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.rollouts.pause(SHOP)
    await shop.rollouts.resume(SHOP)
    await shop.rollouts.advance(SHOP)
    await shop.rollouts.promote(SHOP, lambda line: None)
    assert await noted(shop) == []


async def test_an_end_because_the_split_has_ended_and_a_start_by_itself_are_noted(shop: RolloutShop) -> None:
    registry = shop.platform.registry
    release = await registry.open_release(SHOP, TEST, COMMIT, subject="Sell", author="Ada")
    release = await registry.start_release(release.id, Manifest(source=Source.PROCFILE, processes={WEB: "serve"}))
    await shop.rollouts.begin(SHOP, TEST, MASTER, PLAN, Brief(), activating=release)
    await shop.platform.experiments.cancel(SHOP)
    await shop.look()
    await shop.look()
    start, end = await noted(shop)
    assert (start.what, start.summary) == ("rollout start", "branch test, to 10 %: release 3 was pushed")
    assert (end.what, end.summary) == ("rollout abort", "branch test, to 0 %, split over: the split s1 is cancelled")


async def test_a_decision_that_is_not_written_is_not_noted(shop: RolloutShop) -> None:
    rollout = await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    await shop.rollouts.advance(SHOP)
    with pytest.raises(IllegalTransition):
        await shop.rollouts.look(rollout)
    assert await noted(shop) == []
