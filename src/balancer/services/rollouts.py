"""Rollouts: a branch that is given to more and more visitors while nothing speaks against it.

Invariants:
    * A step is taken from the figures of its own phase; where the rollout has moved on meanwhile, it is not.
    * How long a step lasts is told by ticks, which nobody sets.
"""

from dataclasses import dataclass, replace

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName
from balancer.domain.freeze import Hold
from balancer.domain.metric import MetricName
from balancer.domain.release import Release
from balancer.domain.rollout import ENDED, WATCHED, Goal, Plan, Rollout, RolloutState
from balancer.domain.rollout_audit import began as began_entry
from balancer.domain.rollout_decision import Action, Seen, What, decide
from balancer.domain.rollout_notice import rollout_ended
from balancer.domain.split import CANARY, OVER, Brief
from balancer.errors import (
    BranchNotFound,
    IllegalTransition,
    InvalidRollout,
    RolloutNotFound,
)
from balancer.services.decisions import Decision, read
from balancer.services.expectation import Expectations
from balancer.services.experiment import Experiments
from balancer.services.interfaces import Tell, to_nobody
from balancer.services.lookout import Lookout
from balancer.services.promotion import Promotions
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.rollout_acts import RolloutActs
from balancer.services.rollout_figures import RolloutFigures
from balancer.services.rollout_registry import RolloutRegistry
from balancer.services.schedule import Schedules

log = logs.named("rollout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a rollout stands."""

    rollout: Rollout
    seen: Seen | None
    """The latest figures; None before the first look of this daemon."""
    action: Action | None
    """What they say."""
    hold: Hold | None
    """What forbids a step just now, by the clock on the wall."""
    release: Release | None = None
    """What its branch has live; None once its split is over, since it may be another one by then."""


class Rollouts:
    """Carries out what an operator asks of rollouts, and looks after those that go on."""

    def __init__(
        self,
        registry: RolloutRegistry,
        reconciler: Reconciler,
        experiments: Experiments,
        promotions: Promotions,
        expectations: Expectations,
        figures: RolloutFigures,
        schedules: Schedules,
        refs: Refs,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._experiments = experiments
        self._expectations = expectations
        self._figures = figures
        self._schedules = schedules
        self._clock = clock
        self._acts = RolloutActs(registry, reconciler, promotions, figures, refs, clock=clock)
        self._latest: dict[int, tuple[Seen, Action]] = {}

    async def start(self, app: AppName, branch: BranchName, plan: Plan) -> Rollout:
        """Begin to give a branch to visitors, beside what they see now.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidRollout, InvalidSplit, InvalidMetric,
        MetricNotFound.
        """
        control = (await self._registry.app(app)).served_branch
        if control is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        if control == branch:
            raise InvalidRollout(f"{branch} is what visitors of {app} see already; name another branch")
        if branch == CANARY:
            raise InvalidRollout(f"{CANARY} is what a push is called while it is given to visitors: push it again")
        if plan.goal is Goal.NOT_WORSE and plan.metric is None:
            raise InvalidRollout("non-inferiority is shown by a metric: name it, --metric purchase")
        rollout = await self.begin(app, branch, control, plan, Brief(name=f"rollout of {branch}"))
        await self._reconciler.converge()
        return rollout

    async def begin(
        self,
        app: AppName,
        branch: BranchName,
        control: BranchName,
        plan: Plan,
        brief: Brief,
        *,
        activating: Release | None = None,
    ) -> Rollout:
        """Begin a rollout in the registry, and make a release live with it; the proxy is yet to be told.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidSplit, InvalidMetric, IllegalTransition.
        """
        metric = None if plan.metric is None else MetricName(plan.metric)
        brief = await self._experiments.frozen(app, replace(brief, metric=metric, rollout=True), activating=activating)
        rollout = await self._registry.start_rollout(
            *(app, branch, control, plan),
            expected_visitors=await self._expectations.visitors(app),
            brief=brief,
            ticks=self._clock.ticks(),
            activating=activating.id if activating else None,
            noted=None if activating is None else began_entry(app, branch, plan, activating, self._clock()),
        )
        passed(CrashPoint.ROLLOUT_BEGUN)
        await self._figures.begin(rollout, await self._registry.snapshot())
        log.info("rollout.started", app=app, branch=branch, split=rollout.split, weight=rollout.weight)
        return rollout

    async def finish_in_turn(self, rollout: Rollout, default: BranchName, tell: Tell) -> None:
        """Finish a promotion that was begun, for a caller whose turn it is on the default branch."""
        await self._acts.finish(rollout, tell, default=default)

    async def superseded(self, before: Rollout) -> None:
        """Note that another release may have ended a rollout in the registry, if it was that."""
        ended = await self._registry.rollout_of(before.split)
        if ended.state is not RolloutState.ABORTED:
            return  # it was rolled back, or promoted, just before
        self._forget(ended)
        log.info("rollout.aborted", app=ended.app, branch=ended.branch, split=ended.split, reason=ended.reason)

    async def of_open_splits(self) -> tuple[Standing, ...]:
        """Return how each rollout stands whose split is not over: it goes on, or was rolled back."""
        return tuple([await self._standing(rollout) for rollout in await self._registry.rollouts_of_open_splits()])

    async def standing(self, app: AppName) -> Standing:
        """Return how the rollout stands that goes on, else the one that ended last. Raises RolloutNotFound."""
        return await self._standing(await self._registry.rollout(app))

    async def _standing(self, rollout: Rollout) -> Standing:
        seen, action = self._latest.get(rollout.number, (None, None))
        if rollout.state in WATCHED:
            rollout = replace(rollout, watch=rollout.watch.at(self._clock.ticks()))
        hold = await self.hold(rollout)
        release = None
        if await self._has_a_split(rollout):
            release = (await self._registry.snapshot()).live(rollout.app).get(rollout.branch)
        return Standing(rollout=rollout, seen=seen, action=action, hold=hold, release=release)

    async def unseen_guardrails(self, rollout: Rollout) -> tuple[str, ...]:
        """Return what is to be said of its guardrails that count events of which none has ever come."""
        return await self._figures.unseen(await self._registry.split(rollout.app, rollout.split))

    async def hold(self, rollout: Rollout) -> Hold | None:
        """Return what forbids a step of a rollout that goes on just now, by the clock on the wall."""
        return None if rollout.state in ENDED else await self._schedules.hold(rollout.app, rollout.plan.open_hours)

    async def decisions(self, app: AppName) -> tuple[Decision, ...]:
        """Return what was decided of that rollout, the oldest first. Raises RolloutNotFound, AppNotFound."""
        rollout = await self._registry.rollout(app)
        return tuple(map(read, await self._registry.decisions(rollout.number)))

    async def pause(self, app: AppName) -> Rollout:
        """Take no further step; a rollback stays armed. Raises RolloutNotFound, IllegalTransition."""
        before = await self._open(app, RolloutState.RUNNING)
        after = replace(before, state=RolloutState.PAUSED, watch=self._acts.watch(before))
        return await self._asked(before, after, What.WAIT, "paused")

    async def resume(self, app: AppName) -> Rollout:
        """Go on, with the weights of the present step. Raises RolloutNotFound, IllegalTransition."""
        before = await self._open(app, *WATCHED)
        split = await self._registry.split(app, before.split)
        if before.state is RolloutState.RUNNING and split.phase.number == before.phase:
            raise IllegalTransition(f"the rollout of {before.branch} of {app} goes on already")
        same = split.phase.number == before.phase
        watch = self._acts.watch(before) if same else self._acts.watch(before).next_step()
        after = replace(before, state=RolloutState.RUNNING, watch=watch)
        return await self._asked(before, after, What.WAIT, "resumed", weight=before.weight)

    async def advance(self, app: AppName) -> Rollout:
        """Take the next step now, whatever it lacks. Raises RolloutNotFound, IllegalTransition at the last one."""
        before = await self._open(app, *WATCHED)
        if before.next_weight is None:
            raise IllegalTransition(f"{before.branch} of {app} is at its last step; `balancer rollout promote {app}`")
        after = replace(before, step=before.step + 1, watch=self._acts.watch(before).next_step())
        return await self._asked(before, after, What.ADVANCE, "advanced", weight=before.next_weight)

    async def abort(self, app: AppName) -> Rollout:
        """End it, and its split: everyone sees the control again. Raises RolloutNotFound, IllegalTransition.

        Of one that was rolled back, end what it has left: its split, and the release of a canary.
        """
        latest = await self._registry.rollout(app)
        if latest.state is RolloutState.ROLLED_BACK and await self._has_a_split(latest):
            await self._experiments.cancel(app)
            return latest
        ended = await self.take_back(await self._open(app, *WATCHED), "an operator has ended it")
        await self._acts.taken_back(ended)
        return ended

    async def take_back(self, before: Rollout, reason: str) -> Rollout:
        """End a rollout that somebody wants no more, and its split; the refs are the caller's.

        Raises IllegalTransition where it has moved on meanwhile.
        """
        after = replace(before, state=RolloutState.ABORTED, watch=self._acts.watch(before), reason=reason)
        decision = self._acts.decision(before, None, Action(what=What.ABORT, rule="aborted", reason=reason))
        ended = await self._registry.end_rollout(before, after, decision, winner=None, told=[rollout_ended(after)])
        self._forget(ended)
        log.info("rollout.aborted", app=ended.app, branch=ended.branch, split=ended.split, reason=reason)
        if ended.branch == CANARY:
            passed(CrashPoint.CANARY_TAKEN_BACK)
        await self._reconciler.converge()
        return ended

    async def promote(self, app: AppName, tell: Tell) -> Rollout:
        """Give the branch to everybody, and make it the default branch's release, whatever it lacks.

        Raises RolloutNotFound, IllegalTransition; NotHealthy and PortsExhausted once everybody sees it.
        """
        before = await self._open(app, *WATCHED)
        action = Action(what=What.PROMOTE, rule="promoted", reason="an operator has promoted it")
        moved = await self._acts.win(before, None, action)
        if hold := await self.hold(before):
            tell(f"-----> Promoted all the same, since an operator wants it: {hold.reason}")
        tell(f"-----> The rollout of {moved.branch} of {app} is over: everyone sees it")
        return await self._acts.finish(moved, tell)

    async def run(self) -> None:
        """Look after the rollouts that go on, each second; until cancelled."""
        await Lookout("rollout", self._those_open, self.look).run()

    async def _those_open(self) -> tuple[Rollout, ...]:
        await self._schedules.look()  # so that a clock that is set is noticed when it is
        return await self._registry.open_rollouts()

    async def look(self, rollout: Rollout) -> None:
        """Look at one rollout that goes on, and do what the figures say.

        Raises IllegalTransition where it has moved on meanwhile.
        """
        if rollout.state is RolloutState.PROMOTING:
            await self._acts.finish(rollout, to_nobody)
            return
        split = await self._registry.split(rollout.app, rollout.split)
        if split.state in OVER or rollout.branch not in split.phase.weights:
            await self._acts.give_up(rollout, split)
            return
        watch = self._acts.watch(rollout)
        snapshot = await self._registry.snapshot()
        seen = await self._figures.of(rollout, split, snapshot, watch)
        seen = replace(seen, hold=await self.hold(rollout))
        action = decide(rollout, seen)
        before = self._latest.get(rollout.number)
        self._latest[rollout.number] = (seen, action)
        try:
            await self._acts.carry_out(rollout, watch, seen, action, before[1] if before else None)
        except BaseException:  # it was not kept: the next look shall not take it for what was said before
            self._latest.pop(rollout.number, None)
            raise

    async def _asked(
        self, before: Rollout, after: Rollout, what: What, rule: str, *, weight: int | None = None
    ) -> Rollout:
        """Do what an operator has asked for."""
        action = Action(what=what, rule=rule, reason=f"an operator has {rule} it", step=after.step if weight else None)
        moved = await self._registry.move_rollout(
            before, after, self._acts.decision(before, None, action), weight=weight
        )
        self._latest.pop(before.number, None)
        passed(CrashPoint.ROLLOUT_MOVED)
        log.info(
            "rollout.asked", app=moved.app, branch=moved.branch, rule=rule, step=moved.step + 1, weight=moved.weight
        )
        await self._reconciler.converge()
        return moved

    async def _has_a_split(self, rollout: Rollout) -> bool:
        return (await self._registry.split(rollout.app, rollout.split)).state not in OVER

    async def _open(self, app: AppName, *states: RolloutState) -> Rollout:
        rollout = await self._registry.rollout(app)
        if rollout.state in ENDED:
            raise RolloutNotFound(
                f"the last rollout of {app} is {rollout.state.value}; begin one with `balancer rollout start {app} …`"
            )
        if rollout.state not in states:
            raise IllegalTransition(f"the rollout of {rollout.branch} of {app} is {rollout.state.value} already")
        return rollout

    def _forget(self, rollout: Rollout) -> None:
        self._latest.pop(rollout.number, None)
        self._figures.forget(rollout)
