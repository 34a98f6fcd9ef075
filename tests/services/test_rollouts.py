"""Rollouts on a real registry and a real ledger: steps, rollbacks, promotions, and none of them twice."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.domain.app import BranchName, Commit
from balancer.domain.calendar import TimeZone
from balancer.domain.entry import Entry
from balancer.domain.event import EventName
from balancer.domain.hard_stop import Answers
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.metric import Better, Kind, Metric, MetricName, Role
from balancer.domain.notice import NoticeKind
from balancer.domain.plan import Exit
from balancer.domain.release import InstanceState
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import STEP_VISITORS, Action, What
from balancer.domain.split import Split, SplitState
from balancer.domain.target import Address, TargetKind
from balancer.errors import (
    BranchNotFound,
    IllegalTransition,
    InvalidRollout,
    RolloutNotFound,
    SplitRunning,
)
from balancer.services.decisions import again, read
from balancer.services.reports import Reports
from balancer.services.rollouts import Rollouts
from balancer.store.ledger import DuckLedger
from entries import entry, load
from ledgers import LocalLedger
from platforms import InProcess, in_process
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAN = Plan(steps=(1000, 5000, 10_000), step_seconds=60)


class Shop:
    """A platform with a ledger, and rollouts on both."""

    def __init__(self, platform: InProcess, directory: Path) -> None:
        self.platform = platform
        self.clock = platform.clock
        self.engine = DuckLedger(directory / "ledger.duckdb", lambda: self.now)
        self.ledger = LocalLedger(self.engine)
        self.rollouts = self.another_daemon()
        self._visitors = 0

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return (self.clock.now - _EPOCH) // timedelta(milliseconds=1)

    def another_daemon(self) -> Rollouts:
        """Return rollouts that remember nothing, as after a start."""
        reports = Reports(self.platform.registry, self.ledger, self.clock, TimeZone("Europe/Vienna"))
        return self.platform.rollouts(reports, self.ledger)

    async def make_live(self, branch: BranchName, commit: str = "c0ffee") -> None:
        """Make a release of a branch live, with an instance that seems healthy."""
        registry = self.platform.registry
        release = await registry.open_release(SHOP, branch, Commit(commit.ljust(40, "0")), subject="Sell", author="Ada")
        await registry.start_release(release.id, Manifest(source=Source.PROCFILE, processes={WEB: "serve"}))
        port = max(await registry.leased_ports(), default=19_999) + 1
        instance = await registry.open_instance(release.id, WEB, 1, port)
        await registry.move_instance(instance.id, InstanceState.HEALTHY)
        await registry.activate(release.id)

    def visit(self, phase: int = 1, *, failing: bool = False, returning: bool = True, **counts: int) -> None:
        """Let so many visitors of each variant be assigned in a phase, be exposed if `returning`, and meet an error."""
        rows: list[Entry] = []
        for variant, count in counts.items():
            for _ in range(count):
                self._visitors += 1
                shared = {"split": "s1", "variant": variant, "assigned_at": self.now, "phase": phase}
                if returning:
                    rows.append(entry(self._visitors, "$exposure", ts=self.now + 5, **shared))  # type: ignore[arg-type]
                if failing:
                    rows.append(entry(self._visitors, "$error", 500.0, ts=self.now + 9, **shared))  # type: ignore[arg-type]
        load(self.engine, *rows)

    async def look(self, rollouts: Rollouts | None = None) -> Rollout:
        """Let a few seconds go by, look once at what goes on, and return what the rollout is."""
        self.clock.advance(3)
        for rollout in await self.platform.registry.open_rollouts():
            await (rollouts or self.rollouts).look(rollout)
        return await self.platform.registry.rollout(SHOP)

    async def rules(self) -> list[str]:
        """Return the rules of the decisions that were kept."""
        return [decision.action.rule for decision in await self.rollouts.decisions(SHOP)]

    async def weights(self) -> dict[str, int]:
        """Return the weights of the split."""
        return {str(branch): weight for branch, weight in (await self.split()).phase.weights.items()}

    async def split(self) -> Split:
        """Return the split."""
        return await self.platform.registry.split(SHOP)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with master, the default branch, and test live."""
    async with in_process(tmp_path) as platform:
        made = Shop(platform, tmp_path)
        await platform.registry.create_app(SHOP, MASTER)
        for branch in (MASTER, TEST):
            await made.make_live(branch)
        try:
            yield made
        finally:
            made.engine.close()


async def test_a_rollout_begins_a_split_that_gives_the_branch_its_first_step(shop: Shop) -> None:
    rollout = await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (rollout.state, rollout.step, rollout.phase, rollout.split) == (RolloutState.RUNNING, 0, 1, "s1")
    assert await shop.weights() == {"master": 9000, "test": 1000}
    assert (await shop.split()).control == MASTER
    (app,) = shop.platform.proxy.table.apps
    assert app.split is not None


async def test_what_cannot_be_rolled_out_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidRollout, match="master is what visitors of shop see already"):
        await shop.rollouts.start(SHOP, MASTER, PLAN)
    with pytest.raises(InvalidRollout, match="non-inferiority is shown by a metric: name it"):
        await shop.rollouts.start(SHOP, TEST, replace(PLAN, goal=Goal.NOT_WORSE))
    with pytest.raises(BranchNotFound):
        await shop.rollouts.start(SHOP, BranchName("blue"), PLAN)
    with pytest.raises(RolloutNotFound):
        await shop.rollouts.standing(SHOP)
    await shop.rollouts.start(SHOP, TEST, PLAN)
    with pytest.raises(SplitRunning):
        await shop.rollouts.start(SHOP, TEST, PLAN)


async def test_without_traffic_it_waits_and_the_decision_is_kept_once(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    for _ in range(5):
        rollout = await shop.look()
    shop.clock.advance(3600)
    assert (rollout.step, (await shop.look()).step) == (0, 0)
    assert await shop.rules() == ["not enough data"]
    standing = await shop.rollouts.standing(SHOP)
    assert standing.action is not None
    assert standing.action.reason == "0 of 200 visitors"


async def test_a_step_that_has_its_visitors_and_its_time_leads_to_the_next_one(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    assert (await shop.look()).step == 0
    shop.clock.advance(60)
    rollout = await shop.look()
    assert (rollout.step, rollout.phase) == (1, 2)
    assert await shop.weights() == {"master": 5000, "test": 5000}
    assert (await shop.look()).step == 1, "visitors of the step before are not those of this one"
    assert await shop.rules() == ["too soon", "step passed", "not enough data"]


async def test_that_a_person_alone_is_waited_for_is_told_once(shop: Shop) -> None:
    registry = shop.platform.registry
    address = Address("http://127.0.0.1:9/hook")
    await registry.add_target(
        TargetKind.WEBHOOK, address, secret="whsec_eA==", kinds=[NoticeKind.ROLLOUT_READY], app=SHOP
    )
    await shop.rollouts.start(SHOP, TEST, Plan(steps=(5000,), step_seconds=60))
    shop.visit(master=STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    await shop.look()
    assert (await shop.rules())[-1] == "last step"
    (delivery,) = await registry.due()
    assert delivery.kept.notice.text == (
        "shop: test waits for somebody to promote it: all steps are done (200 visitors, and no guardrail breached); "
        "`balancer rollout promote shop` makes it the default branch's release"
    )
    await shop.rollouts.pause(SHOP)
    await shop.rollouts.resume(SHOP)
    await shop.look()
    assert await shop.rules() == ["last step", "paused", "resumed", "last step"]
    (standing,) = await registry.targets()
    assert standing.waiting == 1, "once a rollout"


async def test_errors_of_the_branch_alone_bring_its_weight_to_0(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=90, test=10)
    shop.visit(test=10, failing=True)
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.reason is not None
    assert rollout.reason.startswith("errors: 10 visitors of the branch, 0 of the control")
    assert await shop.weights() == {"master": 10_000, "test": 0}
    (app,) = shop.platform.proxy.table.apps
    assert app.split is not None
    assert {piece.variant for piece in app.split.allocation} == {"master"}
    told = shop.platform.teller.told
    assert [notice.kind for notice in told if "rollout" in notice.kind] == ["rollout.started", "rollout.rolled_back"]
    assert told[-1].text.startswith(
        "shop: the rollout of test (release 2, c0ffee0 by Ada) was rolled back at 10 %: errors: 10"
    )
    assert (told[-1].facts["author"], told[-1].facts["release"]) == ("Ada", 2)
    assert "test" in {str(branch) for branch in (await shop.platform.registry.snapshot()).live(SHOP)}
    assert (await shop.look()).state is RolloutState.ROLLED_BACK


async def test_errors_of_visitors_whose_cookie_never_came_back_count_as_well(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(test=10, failing=True, returning=False)
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert str(rollout.reason).startswith("errors: 10 visitors of the branch, 0 of the control")


async def test_errors_of_both_are_not_the_branchs_doing(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=900, test=100, failing=True)
    assert (await shop.look()).state is RolloutState.RUNNING


async def test_while_both_fail_most_who_ask_no_step_is_taken_and_a_minute_later_it_goes_on(shop: Shop) -> None:
    def answered(failed: int, other: int) -> None:
        both = Answers(failed=failed, other=other)
        shop.platform.proxy.answered = {"test--shop": both, "master--shop": both}

    answered(0, 0)
    await shop.rollouts.start(SHOP, TEST, PLAN)
    answered(0, 500)
    await shop.look()
    shop.clock.advance(61)
    answered(30, 510)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    rollout = await shop.look()
    assert (rollout.step, await shop.rules()) == (0, ["not enough data", "both fail"])
    shop.clock.advance(58)
    answered(30, 540)
    assert (await shop.look()).step == 1


async def test_a_branch_that_fails_from_the_first_request_on_is_stopped_though_no_visitor_is_known(shop: Shop) -> None:
    shop.platform.proxy.answered = {
        "test--shop": Answers(failed=0, other=900),
        "master--shop": Answers(failed=0, other=900),
    }
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.ledger.away = True
    shop.platform.proxy.answered = {"test--shop": Answers(failed=4, other=900)}
    assert (await shop.look()).state is RolloutState.RUNNING
    shop.platform.proxy.answered = {"test--shop": Answers(failed=5, other=900)}
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert await shop.rules() == ["blind", "hard stop"]


async def test_a_branch_whose_instances_crash_again_and_again_is_stopped_though_they_are_healthy_in_between(
    shop: Shop,
) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    snapshot = await shop.platform.registry.snapshot()
    (instance,) = snapshot.instances_of(snapshot.live(SHOP)[TEST])
    shop.platform.supervisor.exits[instance.id] = Exit(at=shop.clock.now, restarts=0)  # it cannot even begin here
    for restarts in (1, 2):
        assert (await shop.look()).state is RolloutState.RUNNING
        shop.platform.supervisor.exits[instance.id] = Exit(at=shop.clock.now, restarts=restarts)
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert str(rollout.reason).startswith("instances of the branch ended by themselves 3 times within 10 minutes")
    assert (await shop.rules())[-1] == "crash loop"


async def test_a_branch_without_a_healthy_instance_is_stopped_after_five_seconds(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    snapshot = await shop.platform.registry.snapshot()
    for branch in (MASTER, TEST):
        (instance,) = snapshot.instances_of(snapshot.live(SHOP)[branch])
        await shop.platform.registry.move_instance(instance.id, InstanceState.UNHEALTHY)
    for _ in range(3):
        assert (await shop.look()).state is RolloutState.RUNNING, "the control has none either"
    (instance,) = snapshot.instances_of(snapshot.live(SHOP)[MASTER])
    await shop.platform.registry.move_instance(instance.id, InstanceState.HEALTHY)
    await shop.look()
    assert (await shop.look()).state is RolloutState.RUNNING
    assert (await shop.look()).state is RolloutState.ROLLED_BACK
    assert (await shop.rules())[-1] == "health lost"


async def test_a_clock_that_is_set_takes_no_step(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.set(3 * 86_400)
    assert (await shop.look()).step == 0
    assert (await shop.look(shop.another_daemon())).step == 0, "nor does it where the daemon is started meanwhile"
    shop.clock.set(-6 * 86_400)
    assert (await shop.look()).step == 0
    shop.clock.set(3 * 86_400)
    shop.clock.advance(60)
    assert (await shop.look()).step == 1


async def test_a_daemon_that_starts_goes_on_where_it_was_and_takes_no_step_twice(shop: Shop) -> None:
    before = await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    await shop.look()
    other = shop.another_daemon()
    with pytest.raises(IllegalTransition, match="has moved on meanwhile"):
        await other.look(before)
    assert (await shop.look(other)).step == 1
    assert len((await shop.split()).phases) == 2
    shop.visit(2, master=STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    assert (await shop.look(shop.another_daemon())).step == 2


async def test_every_decision_made_again_from_its_figures_is_the_same(shop: Shop) -> None:
    rollout = await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.look()
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    await shop.look()
    shop.visit(2, test=40, failing=True)
    await shop.look()
    kept = [read(text) for text in await shop.platform.registry.decisions(rollout.number)]
    assert [each.action.what.value for each in kept] == ["wait", "advance", "roll back"]
    assert [again(each, rollout) for each in kept] == [each.action for each in kept]


async def test_a_paused_rollout_waits_and_is_rolled_back_all_the_same(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.rollouts.pause(SHOP)
    shop.visit(master=9 * STEP_VISITORS, test=STEP_VISITORS)
    shop.clock.advance(60)
    assert (await shop.look()).step == 0
    with pytest.raises(IllegalTransition, match="paused already"):
        await shop.rollouts.pause(SHOP)
    await shop.rollouts.resume(SHOP)
    assert (await shop.look()).step == 1
    await shop.rollouts.pause(SHOP)
    shop.visit(2, test=40, failing=True)
    assert (await shop.look()).state is RolloutState.ROLLED_BACK


async def test_weights_that_somebody_sets_are_waited_out_until_it_is_resumed(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.platform.experiments.set_weights(SHOP, {MASTER: 2000, TEST: 8000})
    shop.visit(2, master=2 * STEP_VISITORS, test=8 * STEP_VISITORS)
    shop.clock.advance(60)
    assert (await shop.look()).step == 0
    assert await shop.rules() == ["other weights"]
    rollout = await shop.rollouts.resume(SHOP)
    assert (rollout.phase, await shop.weights()) == (3, {"master": 9000, "test": 1000})


async def test_what_holds_it_is_kept_though_an_operator_was_quicker_than_the_look_that_saw_it(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.platform.registry.add_freeze(SHOP, shop.clock(), shop.clock() + timedelta(days=1), "Fair")
    shop.ledger.meanwhile = lambda: shop.rollouts.advance(SHOP)
    with pytest.raises(IllegalTransition, match="has moved on meanwhile"):
        await shop.look()
    await shop.look()
    assert await shop.rules() == ["advanced", "freeze"]


async def test_an_operator_can_take_the_next_step_at_once_but_none_beyond_the_last(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (await shop.rollouts.advance(SHOP)).step == 1
    assert (await shop.rollouts.advance(SHOP)).phase == 3
    assert await shop.weights() == {"master": 0, "test": 10_000}
    with pytest.raises(IllegalTransition, match="is at its last step"):
        await shop.rollouts.advance(SHOP)
    assert await shop.rules() == ["advanced", "advanced"]


async def test_a_push_that_goes_live_before_a_promotion_is_finished_takes_its_place_and_that_is_told(
    shop: Shop,
) -> None:
    before = await shop.rollouts.start(SHOP, TEST, PLAN)
    promoting = await shop.rollouts._acts.win(before, None, Action(what=What.PROMOTE, rule="promoted", reason="fine"))
    await shop.make_live(MASTER, "beef")
    told: list[str] = []
    ended = await shop.rollouts._acts.finish(promoting, told.append)
    assert ended.state is RolloutState.DONE
    assert ended.reason == (
        "fine; master was pushed meanwhile: visitors see its release 3, and not test, which can be merged into it"
    )
    assert told[-1] == f"       {str(ended.reason).removeprefix('fine; ')}"


async def test_a_guardrail_whose_event_never_came_is_told_of_until_one_comes(shop: Shop) -> None:
    metric = Metric(name=MetricName("refunds"), kind=Kind.COUNT, events=(EventName("refund"),), role=Role.GUARDRAIL)
    await shop.platform.registry.set_metric(SHOP, metric)
    rollout = await shop.rollouts.start(SHOP, TEST, PLAN)
    said = "the guardrail refunds counts refund, of which none was ever seen: until one comes it stops nothing"
    assert await shop.rollouts.unseen_guardrails(rollout) == (said,)
    await shop.look()
    seen = (await shop.rollouts.standing(SHOP)).seen
    assert seen is not None
    assert seen.unseen == (said,)
    load(shop.engine, entry(999, "refund", 1.0, split="s1", variant="master", assigned_at=shop.now, phase=1))
    shop.clock.advance(20)
    await shop.look()
    seen = (await shop.rollouts.standing(SHOP)).seen
    assert seen is not None
    assert seen.unseen == ()
    shop.ledger.away = True
    assert await shop.rollouts.unseen_guardrails(rollout) == (), "nobody knows"


async def test_an_aborted_rollout_ends_its_split(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (await shop.rollouts.abort(SHOP)).state is RolloutState.ABORTED
    kept = [(each.action.what, each.action.reason) for each in await shop.rollouts.decisions(SHOP)]
    assert kept == [(What.ABORT, "an operator has ended it")], "nothing was rolled back"
    assert (await shop.split()).state is SplitState.CANCELLED
    with pytest.raises(RolloutNotFound, match="the last rollout of shop is aborted"):
        await shop.rollouts.pause(SHOP)
    assert (await shop.rollouts.start(SHOP, TEST, PLAN)).split == "s2"


async def test_a_rollout_that_was_ended_tells_how_long_it_has_gone_on(shop: Shop) -> None:
    for end in (shop.rollouts.abort, shop.platform.experiments.cancel):
        await shop.rollouts.start(SHOP, TEST, PLAN)
        shop.clock.advance(45)  # less than the minute in which that is noted anyway
        await end(SHOP)
        ended = await shop.look()
        assert ended.state is RolloutState.ABORTED
        assert 45 <= ended.watch.step_seconds == ended.watch.seconds < 49


async def test_a_second_rollout_is_told_of_the_first_one(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    with pytest.raises(SplitRunning, match=r"a rollout of shop goes on, .*`balancer rollout abort shop` ends it"):
        await shop.rollouts.start(SHOP, TEST, PLAN)


async def test_its_release_is_told_for_as_long_as_its_split_is_not_over(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    test = (await shop.platform.registry.snapshot()).live(SHOP)[TEST]
    assert (await shop.rollouts.standing(SHOP)).release == test
    shop.visit(test=40, failing=True)
    assert (await shop.look()).state is RolloutState.ROLLED_BACK
    assert (await shop.rollouts.standing(SHOP)).release == test, "it is there to be looked at"
    await shop.rollouts.abort(SHOP)
    assert (await shop.rollouts.standing(SHOP)).release is None


async def test_what_was_rolled_back_can_be_tried_again(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    shop.visit(test=40, failing=True)
    await shop.look()
    again_ = await shop.rollouts.start(SHOP, TEST, PLAN)
    assert (again_.split, again_.state) == ("s2", RolloutState.RUNNING)


async def test_a_rollout_whose_split_somebody_ends_is_aborted(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.platform.experiments.cancel(SHOP)
    rollout = await shop.look()
    assert (rollout.state, rollout.reason) == (RolloutState.ABORTED, "the split s1 is cancelled")


async def test_a_branch_that_is_taken_down_ends_its_rollout(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, PLAN)
    await shop.platform.registry.remove_branch(SHOP, TEST)
    ended = await shop.look()
    assert (ended.state, ended.reason) == (RolloutState.ABORTED, "test was taken down, and the split s1 is cancelled")


async def test_a_metric_that_must_not_get_worse_brings_the_weight_to_0(shop: Shop) -> None:
    slow = Metric(
        name=MetricName("slow"),
        kind=Kind.SUM,
        events=(EventName("wait"),),
        better=Better.LOWER,
        role=Role.GUARDRAIL,
    )
    await shop.platform.registry.set_metric(SHOP, slow)
    await shop.rollouts.start(SHOP, TEST, replace(PLAN, steps=(5000, 10_000)))
    rows: list[Entry] = []
    for number in range(600):
        shared = {"split": "s1", "variant": ("master", "test")[number % 2], "assigned_at": shop.now}
        rows.append(entry(number, "$exposure", ts=shop.now + 5, **shared))  # type: ignore[arg-type]
        rows.append(entry(number, "wait", 10.0 + number % 7 + 9 * (number % 2), ts=shop.now + 9, **shared))  # type: ignore[arg-type]
    load(shop.engine, *rows)
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.reason is not None
    assert rollout.reason.startswith("slow: +8.997 beside 12.99 of the control")


async def bought(shop: Shop, count: int, **buyers: int) -> None:
    """Let so many visitors of each variant come, of whom so many buy, and let their time go by."""
    rows: list[Entry] = []
    for place, (variant, buying) in enumerate(buyers.items()):
        for turn in range(count):
            shared = {"split": "s1", "variant": variant, "assigned_at": shop.now}
            number = place * count + turn
            rows.append(entry(number, "$exposure", ts=shop.now + 5, **shared))  # type: ignore[arg-type]
            if turn < buying:
                rows.append(entry(number, "purchase", ts=shop.now + 9, **shared))  # type: ignore[arg-type]
    load(shop.engine, *rows)


BY_METRIC = replace(PLAN, steps=(5000, 10_000), metric="purchase")


@pytest.mark.parametrize(("goal", "rule"), [(Goal.BETTER, "before 7 days"), (Goal.NOT_WORSE, "step passed")])
async def test_everybody_gets_a_branch_by_the_verdict_of_the_metric(shop: Shop, goal: Goal, rule: str) -> None:
    await shop.rollouts.start(SHOP, TEST, replace(BY_METRIC, goal=goal))
    await bought(shop, 1000, master=100, test=300)
    shop.clock.advance(3600)
    await shop.look()
    assert await shop.rules() == ["no verdict"], "nobody's time is over"
    shop.clock.advance(4 * 86_400)
    await shop.look()
    assert (await shop.rules())[-1] == rule
    shop.clock.advance(4 * 86_400)
    assert (await shop.look()).step == 1


@pytest.mark.parametrize(("goal", "rule"), [(Goal.BETTER, "no verdict"), (Goal.NOT_WORSE, "step passed")])
async def test_what_is_as_good_as_the_control_is_not_worse_and_not_better(shop: Shop, goal: Goal, rule: str) -> None:
    await shop.rollouts.start(SHOP, TEST, replace(BY_METRIC, goal=goal, margin=0.5))
    await bought(shop, 1000, master=300, test=300)
    shop.clock.advance(10 * 86_400)
    await shop.look()
    assert await shop.rules() == [rule]


async def test_a_branch_that_is_worse_by_the_metric_is_rolled_back(shop: Shop) -> None:
    await shop.rollouts.start(SHOP, TEST, BY_METRIC)
    await bought(shop, 1000, master=300, test=100)
    shop.clock.advance(4 * 86_400)
    rollout = await shop.look()
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.reason is not None
    assert rollout.reason.startswith("test is worse than the control: -0.2 (")
    assert (await shop.rules())[-1] == "metric"
