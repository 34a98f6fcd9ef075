"""Bandits on a real registry and a real ledger: weights that follow what is earned, and none of them set twice."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

import domain.test_bandit as made
from balancer.domain.app import BranchName
from balancer.domain.audit import PLATFORM, AuditEntry
from balancer.domain.bandit import Bandit, BanditPlan
from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.calendar import TimeZone
from balancer.domain.event import EventName
from balancer.domain.hard_stop import Answers
from balancer.domain.metric import Better, Kind, Metric, MetricName
from balancer.domain.rollout import RolloutState
from balancer.domain.split import Split, SplitState
from balancer.errors import BanditNotFound, BranchNotFound, IllegalTransition, InvalidBandit, SplitRunning
from balancer.services.bandit_decisions import again, decided, read, text_of
from balancer.services.bandits import Bandits
from balancer.services.reports import Reports
from entries import entry, load
from platforms import InProcess, in_process
from services.test_rollouts import Shop
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
BLUE = BranchName("blue")
VIENNA = TimeZone("Europe/Vienna")
PLAN = BanditPlan(metric="purchase", step_seconds=60)


class Stall:
    """A shop with a bandit's visitors."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.bandits = self.another_daemon()
        self._visitors = 0

    def another_daemon(self) -> Bandits:
        """Return bandits that remember nothing, as after a start."""
        platform = self.shop.platform
        reports = Reports(platform.registry, self.shop.ledger, self.shop.clock, VIENNA)
        return platform.bandits(reports, self.shop.ledger)

    def visit(self, phase: int = 1, *, event: str = "purchase", **arms: tuple[int, int]) -> None:
        """Let so many visitors of each variant do the event, of so many that were exposed."""
        rows = []
        for variant, (did, count) in arms.items():
            for number in range(count):
                self._visitors += 1
                shared = {"variant": variant, "assigned_at": self.shop.now, "phase": phase}
                rows.append(entry(self._visitors, "$exposure", ts=self.shop.now + 5, **shared))  # type: ignore[arg-type]
                if number < did:
                    rows.append(entry(self._visitors, event, ts=self.shop.now + 9, **shared))  # type: ignore[arg-type]
        load(self.shop.engine, *rows)

    async def look(self, bandits: Bandits | None = None, *, seconds: float = 3) -> Bandit:
        """Let some seconds go by, look once at what goes on, and return what the bandit is."""
        self.shop.clock.advance(seconds)
        for each in await self.shop.platform.registry.open_bandits():
            await (bandits or self.bandits).look(each)
        return await self.shop.platform.registry.bandit(SHOP)

    async def rules(self) -> list[str]:
        """Return the rules of the decisions that were kept."""
        return [decision.action.rule for decision in await self.bandits.decisions(SHOP)]

    async def split(self) -> Split:
        """Return the split."""
        return await self.shop.split()

    async def noted(self) -> list[AuditEntry]:
        """Return what the audit log has, the oldest first."""
        return list(reversed(await self.shop.platform.registry.audit(SHOP, None, 100)))


@pytest.fixture
async def stall(tmp_path: Path) -> AsyncIterator[Stall]:
    """A shop with master, the default branch, test and blue live."""
    async with in_process(tmp_path) as platform:
        shop = Shop(platform, tmp_path)
        await platform.registry.create_app(SHOP, MASTER)
        for branch in (MASTER, TEST, BLUE):
            await shop.make_live(branch)
        try:
            yield Stall(shop)
        finally:
            shop.engine.close()


def told_of_bandits(platform: InProcess) -> list[str]:
    """Return the kinds of the notices that are about bandits."""
    return [notice.kind.value for notice in platform.teller.told if "bandit" in notice.kind]


async def test_a_bandit_begins_a_split_that_shares_visitors_evenly(stall: Stall) -> None:
    bandit = await stall.bandits.start(SHOP, (TEST, BLUE), PLAN)
    assert (bandit.state, bandit.phase, bandit.arms) == (RolloutState.RUNNING, 1, (MASTER, TEST, BLUE))
    split = await stall.split()
    assert (split.control, split.brief.bandit, split.brief.metric) == (MASTER, True, "purchase")
    assert await stall.shop.weights() == {"master": 3334, "test": 3333, "blue": 3333}
    assert told_of_bandits(stall.shop.platform) == ["bandit.started"]
    reports = Reports(stall.shop.platform.registry, stall.shop.ledger, stall.shop.clock, VIENNA)
    assert (await reports.of(SHOP)).bandit


async def test_what_cannot_be_a_bandit_is_refused(stall: Stall) -> None:
    with pytest.raises(InvalidBandit, match="master is what visitors see already"):
        await stall.bandits.start(SHOP, (MASTER,), PLAN)
    with pytest.raises(BranchNotFound):
        await stall.bandits.start(SHOP, (BranchName("red"),), PLAN)
    with pytest.raises(BanditNotFound):
        await stall.bandits.standing(SHOP)
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    with pytest.raises(SplitRunning):
        await stall.bandits.start(SHOP, (TEST,), PLAN)


async def test_weights_move_to_who_earns_more_and_the_decision_can_be_made_again(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.visit(master=(100, 1000), test=(125, 1000))
    assert (await stall.look()).phase == 1
    moved = await stall.look(seconds=60)
    assert moved.phase == 2
    weights = await stall.shop.weights()
    assert weights == {"master": 500, "test": 9500}
    decisions = await stall.bandits.decisions(SHOP)
    assert [each.action.rule for each in decisions] == ["too soon", "chances"]
    last = decisions[-1]
    assert last.seen is not None
    assert last.estimate is not None
    assert [arm.n for arm in last.estimate.phases[0].arms] == [1000, 1000]
    assert last.seen.arms[1].chance == pytest.approx(0.9580, abs=5e-5)
    assert again(read(text_of(last)), moved) == last.action
    standing = await stall.bandits.standing(SHOP)
    assert {str(branch): weight for branch, weight in standing.weights.items()} == weights
    assert (await stall.look()).phase == 2
    assert (await stall.rules())[-1] == "not enough data", "visitors of the phase before carry no phase of their own"
    stall.visit(2, master=(100, 400), test=(100, 7600))
    assert (await stall.look(seconds=50)).phase == 2
    assert (await stall.rules())[-1] == "too soon", "the step time begins anew"
    assert (await stall.look(seconds=10)).phase == 3


async def test_where_lower_is_better_weights_move_to_who_has_less(stall: Stall) -> None:
    name = MetricName("returns")
    metric = Metric(name=name, kind=Kind.CONVERTED, events=(EventName("return"),), better=Better.LOWER)
    await stall.shop.platform.registry.set_metric(SHOP, metric)
    await stall.bandits.start(SHOP, (TEST,), BanditPlan(metric="returns", step_seconds=0))
    stall.visit(event="return", master=(140, 1000), test=(100, 1000))
    await stall.look()
    assert await stall.shop.weights() == {"master": 500, "test": 9500}


async def test_young_visitors_count_until_there_are_as_many_mature_ones(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), BanditPlan(metric="purchase", step_seconds=0))
    stall.visit(master=(100, 1000), test=(104, 1000))
    await stall.look()
    standing = await stall.bandits.standing(SHOP)
    assert standing.seen is not None
    assert standing.seen.young_too
    stall.shop.clock.advance(3 * 86_400)
    stall.visit(2, master=(10, 400), test=(90, 500))
    await stall.look()
    standing = await stall.bandits.standing(SHOP)
    assert standing.seen is not None
    assert not standing.seen.young_too
    assert standing.seen.arms[1].mean == 0.104, "the 900 whose time is not over are left out"


async def test_an_arm_that_does_harm_is_taken_out_and_the_split_goes_on(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST, BLUE), PLAN)
    stall.visit(event="$error", master=(0, 60), test=(20, 60), blue=(0, 60))
    bandit = await stall.look()
    assert (bandit.state, bandit.in_play) == (RolloutState.RUNNING, (MASTER, BLUE))
    assert await stall.shop.weights() == {"master": 5001, "test": 0, "blue": 4999}
    (app,) = stall.shop.platform.proxy.table.apps
    assert app.split is not None
    assert {piece.variant for piece in app.split.allocation} == {"master", "blue"}
    told = stall.shop.platform.teller.told[-1]
    assert told.kind == "bandit.took_out"
    assert told.text.startswith("shop: the bandit has taken out test: errors: 20 visitors of the branch")
    assert told.text.endswith("(test: release 2, c0ffee0 by Ada)")
    stall.visit(2, master=(100, 1000), blue=(160, 1000))
    await stall.look(seconds=60)
    assert await stall.shop.weights() == {"master": 500, "test": 0, "blue": 9500}


async def test_where_every_branch_was_taken_out_everybody_gets_the_control_and_it_is_over(stall: Stall) -> None:
    platform = stall.shop.platform
    platform.proxy.answered = {f"{name}--shop": Answers(failed=0, other=900) for name in ("master", "test")}
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.shop.ledger.away = True
    platform.proxy.answered = {"test--shop": Answers(failed=5, other=900)}
    bandit = await stall.look()
    assert bandit.state is RolloutState.ROLLED_BACK
    assert bandit.reason is not None
    assert bandit.reason.startswith("no branch beside master is left; test: 5 of the first 5 requests")
    assert await stall.shop.weights() == {"master": 10_000, "test": 0}
    assert told_of_bandits(platform)[1:] == ["bandit.took_out", "bandit.ended"]
    stall.shop.ledger.away = False
    assert (await stall.bandits.start(SHOP, (BLUE,), PLAN)).split == "s2", "what is left behind gives way"


async def test_a_branch_that_is_taken_down_is_out_of_play(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST, BLUE), PLAN)
    await stall.shop.platform.registry.remove_branch(SHOP, BLUE)
    bandit = await stall.look()
    assert (bandit.in_play, bandit.state) == ((MASTER, TEST), RolloutState.RUNNING)
    assert (await stall.rules())[-1] == "gone"
    await stall.look()
    assert (await stall.rules())[-1] == "not enough data", "the weights are its own again"


async def test_without_the_ledger_or_while_the_sample_ratio_alarms_weights_stay(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), BanditPlan(metric="purchase", step_seconds=0))
    stall.shop.ledger.away = True
    await stall.look()
    stall.shop.ledger.away = False
    stall.visit(master=(100, 1000), test=(100, 500))
    bandit = await stall.look()
    assert bandit.phase == 1
    assert await stall.rules() == ["blind", "sample ratio"]


async def test_a_clock_that_is_set_changes_no_weights(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.visit(master=(100, 1000), test=(150, 1000))
    stall.shop.clock.set(3 * 86_400)
    assert (await stall.look()).phase == 1
    assert (await stall.look(stall.another_daemon())).phase == 1
    stall.shop.clock.advance(60)
    assert (await stall.look()).phase == 2


async def test_a_daemon_that_starts_goes_on_where_it_was_and_sets_nothing_twice(stall: Stall) -> None:
    before = await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.visit(master=(100, 1000), test=(150, 1000))
    await stall.look(seconds=60)
    other = stall.another_daemon()
    with pytest.raises(IllegalTransition, match="has moved on meanwhile"):
        await other.look(before)
    assert (await stall.look(other)).phase == 2
    assert len((await stall.split()).phases) == 2
    assert (await stall.rules())[0] == "chances"


async def test_what_was_seen_of_one_that_an_operator_has_moved_meanwhile_is_forgotten(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.shop.ledger.meanwhile = lambda: stall.bandits.pause(SHOP)
    with pytest.raises(IllegalTransition, match="has moved on meanwhile"):
        await stall.look()
    assert (await stall.bandits.standing(SHOP)).action is None
    assert await stall.rules() == ["paused"]


async def test_a_pause_leaves_the_weights_and_the_guardrails_armed(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    await stall.bandits.pause(SHOP)
    with pytest.raises(IllegalTransition, match="is paused already"):
        await stall.bandits.pause(SHOP)
    stall.visit(master=(100, 1000), test=(150, 1000))
    assert (await stall.look(seconds=60)).phase == 1
    await stall.bandits.resume(SHOP)
    with pytest.raises(IllegalTransition, match="goes on already"):
        await stall.bandits.resume(SHOP)
    assert (await stall.look()).phase == 2


async def test_what_does_harm_is_taken_out_of_a_paused_one_too(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    await stall.bandits.pause(SHOP)
    stall.visit(event="$error", master=(0, 60), test=(20, 60))
    assert (await stall.look()).state is RolloutState.ROLLED_BACK


async def test_weights_that_somebody_else_sets_are_left_until_it_is_resumed(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    await stall.shop.platform.experiments.set_weights(SHOP, {MASTER: 9000, TEST: 1000})
    stall.visit(master=(100, 1000), test=(150, 1000))
    assert (await stall.look(seconds=60)).phase == 1
    assert (await stall.rules())[-1] == "other weights"
    assert (await stall.bandits.resume(SHOP)).phase == 3
    assert await stall.shop.weights() == {"master": 5000, "test": 5000}


async def test_an_abort_ends_the_split_and_nothing_is_left_to_steer(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    assert (await stall.bandits.abort(SHOP)).state is RolloutState.ABORTED
    assert [each.action.what for each in await stall.bandits.decisions(SHOP)] == [BanditWhat.ABORT]
    assert (await stall.split()).state is SplitState.CANCELLED
    for act in (stall.bandits.abort, stall.bandits.pause, stall.bandits.resume):
        with pytest.raises(BanditNotFound, match="the last bandit of shop is aborted"):
            await act(SHOP)


async def test_a_bandit_that_was_aborted_tells_how_long_it_has_gone_on(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.shop.clock.advance(45)  # less than the minute in which that is noted anyway
    with pytest.raises(SplitRunning, match=r"a bandit of shop goes on, .*`balancer bandit abort shop` ends it"):
        await stall.bandits.start(SHOP, (TEST,), PLAN)
    ended = await stall.bandits.abort(SHOP)
    assert (ended.watch.seconds, ended.watch.step_seconds) == (45, 45)


async def test_a_bandit_whose_split_somebody_ends_is_over(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    await stall.shop.platform.experiments.cancel(SHOP)
    bandit = await stall.look()
    assert (bandit.state, bandit.reason) == (RolloutState.ABORTED, "the split s1 is cancelled")


async def test_to_promote_the_control_ends_it_and_everybody_sees_that(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    with pytest.raises(BranchNotFound, match="blue takes no part"):
        await stall.bandits.promote(SHOP, BLUE, lambda line: None)
    told: list[str] = []
    done = await stall.bandits.promote(SHOP, MASTER, told.append)
    assert (done.state, told) == (RolloutState.DONE, ["-----> The bandit of shop is over: everyone sees master"])
    assert (await stall.split()).winner == MASTER


def test_a_decision_of_an_operator_stays_what_it_is() -> None:
    action = BanditAction(what=BanditWhat.WAIT, rule="paused", reason="an operator has paused it")
    kept = decided(made.bandit(TEST), None, None, action, "2026-03-01T12:00:00+00:00")
    assert again(read(text_of(kept)), made.bandit(TEST)) == action


async def test_in_a_freeze_no_weight_changes_until_it_is_over(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    stall.visit(master=(100, 1000), test=(125, 1000))
    now = stall.shop.clock.now
    freeze = await stall.shop.platform.registry.add_freeze(None, now, now + timedelta(days=1), "Fair")
    assert (await stall.look(seconds=60)).phase == 1
    assert (await stall.rules())[-1] == "freeze"
    await stall.shop.platform.registry.remove_freeze(freeze.number)
    assert (await stall.look()).phase == 2


async def test_what_it_does_by_itself_is_noted_once_with_the_rule_and_the_figures(stall: Stall) -> None:
    before = await stall.bandits.start(SHOP, (TEST, BLUE), PLAN)
    stall.visit(master=(100, 1000), test=(125, 1000), blue=(100, 1000))
    await stall.look(seconds=60)
    with pytest.raises(IllegalTransition):
        await stall.another_daemon().look(before)
    stall.visit(2, event="$error", master=(0, 60), test=(0, 1080), blue=(40, 60))
    await stall.look()
    await stall.shop.platform.registry.remove_branch(SHOP, TEST)
    await stall.look()
    weights, out, over = await stall.noted()
    assert {entry.who for entry in (weights, out, over)} == {PLATFORM}
    assert (weights.what, out.what, over.what) == ("bandit weights", "bandit take-out", "bandit rollback")
    assert weights.summary == (
        "weights master=5 test=90 blue=5, chances: chance to be best: master 3.6%, test 92.8%, blue 3.6%"
    )
    assert out.summary.startswith(
        "weights master=5.26 test=94.74 blue=0, guardrail: blue: errors: 40 visitors of the branch"
    )
    assert over.summary.startswith("weights master=100 test=0 blue=0, gone: test: ")


async def test_an_end_with_its_split_is_noted_and_what_an_operator_asks_for_is_the_calls(stall: Stall) -> None:
    await stall.bandits.start(SHOP, (TEST,), PLAN)
    await stall.bandits.pause(SHOP)
    await stall.shop.platform.experiments.set_weights(SHOP, {MASTER: 9000, TEST: 1000})
    await stall.bandits.resume(SHOP)
    assert await stall.noted() == []
    await stall.shop.platform.experiments.cancel(SHOP)
    await stall.look()
    (end,) = await stall.noted()
    assert (end.who, end.what) == (PLATFORM, "bandit abort")
    assert end.summary == "branches master test, split over: the split s1 is cancelled"
