"""Bandits: visitors are shared among branches by what those earn, again and again.

Invariants:
    * Weights are set from the figures of the bandit as it is; where it has moved on meanwhile, they are not.
    * How long weights have lasted is told by ticks, which nobody sets.
"""

from dataclasses import dataclass, replace

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName
from balancer.domain.bandit import Bandit, BanditPlan, check_arms
from balancer.domain.bandit_decision import BanditAction, BanditSeen, BanditWhat, decide
from balancer.domain.metric import MetricName
from balancer.domain.rollout import ENDED, WATCHED, RolloutState
from balancer.domain.split import OVER, Brief
from balancer.errors import BanditNotFound, BranchNotFound, IllegalTransition
from balancer.services.bandit_acts import BanditActs
from balancer.services.bandit_decisions import BanditDecision, read
from balancer.services.bandit_figures import BanditFigures, Sight
from balancer.services.bandit_registry import BanditRegistry
from balancer.services.expectation import Expectations
from balancer.services.experiment import Experiments
from balancer.services.interfaces import Tell, to_nobody
from balancer.services.lookout import Lookout
from balancer.services.promotion import Promotions
from balancer.services.reconcile import Reconciler
from balancer.services.schedule import Schedules

log = logs.named("bandit")


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditStanding:
    """How a bandit stands."""

    bandit: Bandit
    weights: dict[BranchName, int]
    """Of the present phase of its split, in units of 0.01 %."""
    seen: BanditSeen | None
    """The latest figures; None before the first look of this daemon."""
    action: BanditAction | None
    """What they say."""


class Bandits:
    """Carries out what an operator asks of bandits, and looks after those that go on."""

    def __init__(
        self,
        registry: BanditRegistry,
        reconciler: Reconciler,
        experiments: Experiments,
        promotions: Promotions,
        expectations: Expectations,
        figures: BanditFigures,
        schedules: Schedules,
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
        self._acts = BanditActs(registry, reconciler, promotions, figures, clock=clock)
        self._latest: dict[int, tuple[Sight, BanditAction]] = {}

    async def start(self, app: AppName, branches: tuple[BranchName, ...], plan: BanditPlan) -> Bandit:
        """Share visitors evenly between what they see now and `branches`, and from then on by what each earns.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidBandit, InvalidSplit, InvalidMetric.
        """
        control = (await self._registry.app(app)).served_branch
        if control is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        check_arms(control, branches)
        brief = Brief(name=f"bandit on {plan.metric}", metric=MetricName(plan.metric), bandit=True)
        frozen = await self._experiments.frozen(app, brief)
        expected = await self._expectations.visitors(app)
        bandit = await self._registry.start_bandit(
            *(app, branches, control, plan), expected_visitors=expected, brief=frozen, ticks=self._clock.ticks()
        )
        await self._figures.begin(bandit, await self._registry.snapshot())
        log.info("bandit.started", app=app, split=bandit.split, branches=list(bandit.arms), metric=plan.metric)
        await self._reconciler.converge()
        return bandit

    async def standing(self, app: AppName) -> BanditStanding:
        """Return how the bandit stands that goes on, else the one that ended last. Raises BanditNotFound."""
        bandit = await self._registry.bandit(app)
        split = await self._registry.split(app, bandit.split)
        sight, action = self._latest.get(bandit.number, (None, None))
        if bandit.state in WATCHED:
            bandit = replace(bandit, watch=bandit.watch.at(self._clock.ticks()))
        return BanditStanding(
            bandit=bandit, weights=dict(split.phase.weights), seen=sight.seen if sight else None, action=action
        )

    async def decisions(self, app: AppName) -> tuple[BanditDecision, ...]:
        """Return what was decided of that bandit, the oldest first. Raises BanditNotFound, AppNotFound."""
        bandit = await self._registry.bandit(app)
        return tuple(map(read, await self._registry.bandit_decisions(bandit.number)))

    async def pause(self, app: AppName) -> Bandit:
        """Leave the weights as they are; guardrails stay armed. Raises BanditNotFound, IllegalTransition."""
        before = await self._open(app, RolloutState.RUNNING)
        return await self._asked(before, replace(before, state=RolloutState.PAUSED), "paused")

    async def resume(self, app: AppName) -> Bandit:
        """Go on, with the weights that it has set itself last. Raises BanditNotFound, IllegalTransition."""
        before = await self._open(app, *WATCHED)
        split = await self._registry.split(app, before.split)
        same = split.phase.number == before.phase
        if before.state is RolloutState.RUNNING and same:
            raise IllegalTransition(f"the bandit of {app} goes on already")
        weights = None if same else dict(split.phases[before.phase - 1].weights)
        return await self._asked(before, replace(before, state=RolloutState.RUNNING), "resumed", weights=weights)

    async def abort(self, app: AppName) -> Bandit:
        """End it, and its split: everyone sees the control again. Raises BanditNotFound, IllegalTransition."""
        before = await self._open(app, *WATCHED)
        action = BanditAction(what=BanditWhat.ABORT, rule="aborted", reason="an operator has ended it")
        ended = await self._acts.abort(before, action)
        self._latest.pop(before.number, None)
        return ended

    async def promote(self, app: AppName, winner: BranchName, tell: Tell) -> Bandit:
        """End the split: everybody gets `winner`, and its release becomes the default branch's.

        Raises BanditNotFound, IllegalTransition, BranchNotFound; NotHealthy and PortsExhausted once everybody sees it.
        """
        before = await self._open(app, *WATCHED)
        action = BanditAction(what=BanditWhat.SHIFT, rule="promoted", reason=f"an operator has promoted {winner}")
        moved = await self._acts.win(before, winner, action)
        tell(f"-----> The bandit of {app} is over: everyone sees {winner}")
        return await self._acts.finish(moved, tell)

    async def run(self) -> None:
        """Look after the bandits that go on, each second; until cancelled."""
        await Lookout("bandit", self._registry.open_bandits, self.look).run()

    async def look(self, bandit: Bandit) -> None:
        """Look at one bandit that goes on, and do what the figures say.

        Raises IllegalTransition where it has moved on meanwhile.
        """
        if bandit.state is RolloutState.PROMOTING:
            await self._acts.finish(bandit, to_nobody)
            return
        split = await self._registry.split(bandit.app, bandit.split)
        if split.state in OVER:
            await self._acts.give_up(bandit, split)
            return
        watch = self._acts.watch(bandit)
        sight = await self._figures.of(bandit, split, await self._registry.snapshot(), watch)
        sight = replace(sight, seen=replace(sight.seen, hold=await self._schedules.hold(bandit.app, None)))
        action = decide(bandit, sight.seen)
        before = self._latest.get(bandit.number)
        self._latest[bandit.number] = (sight, action)
        try:
            await self._acts.carry_out(bandit, watch, sight, action, before[1] if before else None)
        except BaseException:  # it was not kept: the next look shall not take it for what was said before
            self._latest.pop(bandit.number, None)
            raise

    async def _asked(
        self, before: Bandit, after: Bandit, rule: str, *, weights: dict[BranchName, int] | None = None
    ) -> Bandit:
        """Do what an operator has asked for."""
        action = BanditAction(
            what=BanditWhat.WAIT if weights is None else BanditWhat.SHIFT,
            rule=rule,
            reason=f"an operator has {rule} it",
            weights=tuple((str(branch), weight) for branch, weight in (weights or {}).items()),
        )
        watch = self._acts.watch(before)
        after = replace(after, watch=watch if weights is None else watch.next_step())
        decision = self._acts.decision(before, None, action)
        moved = await self._registry.move_bandit(before, after, decision, weights=weights)
        self._latest.pop(before.number, None)
        passed(CrashPoint.BANDIT_MOVED)
        log.info("bandit.asked", app=moved.app, split=moved.split, rule=rule, phase=moved.phase)
        await self._reconciler.converge()
        return moved

    async def _open(self, app: AppName, *states: RolloutState) -> Bandit:
        bandit = await self._registry.bandit(app)
        if bandit.state in ENDED:
            raise BanditNotFound(
                f"the last bandit of {app} is {bandit.state.value}; begin one with `balancer bandit start {app} …`"
            )
        if bandit.state not in states:
            raise IllegalTransition(f"the bandit of {app} is {bandit.state.value} already")
        return bandit
