"""Plans of rollouts: how long each step will take at the present traffic, before it begins or while it goes on.

Invariants:
    * What is not known is said, never guessed: without traffic there are no dates.
    * What metrics need is what `planning` says of a split with the weights of the last step before everybody's.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from balancer.clock import Clock
from balancer.domain.app import AppName, BranchName
from balancer.domain.calendar import TimeZone, shown
from balancer.domain.metric import Metric, MetricName
from balancer.domain.push_mode import Mode
from balancer.domain.rollout import WATCHED, Goal, Plan, Rollout
from balancer.domain.rollout_forecast import StepForecast, Traffic, forecast
from balancer.domain.weights import WHOLE
from balancer.errors import BalancerError, BranchNotFound, NotFound, RolloutNotFound
from balancer.services.expectation import DAYS, LEAST_VISITORS, Expectations
from balancer.services.freeze import FreezeRegistry
from balancer.services.planning import Planning, Wish
from balancer.services.rollouts import Rollouts, Standing
from balancer.services.schedule import Schedules

# 2 s: as long as somebody who pushes may wait to hear how long what has begun will take.
_SOON_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutWish:
    """What somebody wants to know of a rollout."""

    branch: BranchName | None
    """None: the one that goes on, else the canary that the next push begins."""
    plan: Plan
    """That of a rollout that has not begun."""
    effect: float = 0.1
    """What the metric that decides is to show; with non-inferiority it is the margin."""
    relative: bool = True
    baseline: float | None = None
    sd: float | None = None
    visitors_a_day: float | None = None
    """None: as the last split had them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step; plain, so that JSON carries it."""

    step: int
    """From 1."""
    weight: float
    """Percent of the visitors."""
    visitors_a_day: float | None
    """That the branch gets."""
    begins: str | None
    """In the app's time zone; null where nobody knows."""
    seconds: float | None
    """How long it takes; null where nothing comes after it, or nobody knows."""
    waits_for: str
    """What it waits for longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVerdict:
    """What the metric that decides needs."""

    metric: str
    visitors: int | None
    """Of all variants; null where nobody knows."""
    days: int | None
    """Until they have come."""
    window_seconds: int | None
    """How long a visitor is waited for after that until they count; null where nobody knows how many it needs."""
    because: str
    """For people: what is to be seen, or why nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutForecast:
    """How long a rollout will take."""

    app: str
    branch: str
    hours: str | None
    timezone: str
    visitors_a_day: float | None
    """Of all variants."""
    visitors_from: str | None
    """The split that tells so; null where it was said, or nobody knows."""
    visitors_within: float | None
    """Seconds in which those came that tell so, where it was less than a day."""
    steps: tuple[PlannedStep, ...]
    verdict: PlannedVerdict | None
    everybody: str | None
    """When everybody gets the branch by itself, at the earliest; null where a person has to promote it."""
    lacking: str | None
    """Why there are no dates, where there are none."""


class RolloutPlanning:
    """Makes such plans."""

    def __init__(
        self,
        registry: FreezeRegistry,
        rollouts: Rollouts,
        expectations: Expectations,
        planning: Planning,
        schedules: Schedules,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._rollouts = rollouts
        self._expectations = expectations
        self._planning = planning
        self._schedules = schedules
        self._clock = clock

    async def plan(self, app: AppName, wish: RolloutWish) -> RolloutForecast:
        """Tell how long each step will take.

        Raises AppNotFound, LedgerUnavailable, InvalidInput; RolloutNotFound where no branch is named, none goes on and
        a push begins none, BranchNotFound where the one that is named is not live.
        """
        branch, plan, standing = await self._meant(app, wish)
        zone = await self._schedules.zone(app)
        a_day, told_by, within = await self._traffic(app, wish)
        verdict = await self._verdict(app, plan, wish, a_day, await self._metric(app, plan, standing))
        traffic = Traffic(a_day=a_day, verdict_days=_days(verdict))
        if standing:
            watch = standing.rollout.watch
            traffic = Traffic(
                a_day=a_day,
                verdict_days=traffic.verdict_days,
                step=standing.rollout.step,
                visitors=standing.seen.visitors if standing.seen else 0,
                step_seconds=watch.step_seconds,
                seconds=watch.seconds,
            )
        steps, everybody = forecast(app, plan, traffic, self._clock(), zone, await self._registry.freezes())
        return RolloutForecast(
            app=app,
            branch=str(branch),
            hours=plan.hours,
            timezone=zone,
            visitors_a_day=a_day,
            visitors_from=told_by,
            visitors_within=within,
            steps=tuple(_plain(step, zone) for step in steps),
            verdict=verdict,
            everybody=shown(zone, everybody) if everybody else None,
            lacking=_lacking(app, a_day, verdict),
        )

    async def outlook(self, rollout: Rollout) -> str | None:
        """Return in a sentence when everybody gets the branch of a rollout that has just begun; None: nobody knows."""
        try:
            async with asyncio.timeout(_SOON_SECONDS):
                found = await self.plan(rollout.app, RolloutWish(branch=None, plan=rollout.plan))
        except (BalancerError, TimeoutError):  # a push goes on without
            return None
        if found.everybody is None or found.lacking is not None:
            return None
        return f"at the present traffic everybody gets it at {found.everybody.replace('T', ' ')}, at the earliest"

    async def _check_live(self, app: AppName, branch: BranchName) -> None:
        live = (await self._registry.snapshot()).live((await self._registry.app(app)).name)
        if branch not in live:
            do = f"there are {', '.join(sorted(live))}: name one of them, or push it first" if live else "push it first"
            raise BranchNotFound(f"{app} has no live branch {branch}; {do}")

    async def _meant(self, app: AppName, wish: RolloutWish) -> tuple[BranchName, Plan, Standing | None]:
        """Return what is to be planned, and how it stands where it goes on."""
        if wish.branch:
            await self._check_live(app, wish.branch)
            return wish.branch, wish.plan, None
        with contextlib.suppress(RolloutNotFound):
            standing = await self._rollouts.standing(app)
            if standing.rollout.state in WATCHED:
                return standing.rollout.branch, standing.rollout.plan, standing
        if pushed := await self._next_push(app):
            return (*pushed, None)
        raise RolloutNotFound(
            f"no rollout of {app} goes on; name the branch that one would be of: balancer rollout plan {app} test"
        )

    async def _next_push(self, app: AppName) -> tuple[BranchName, Plan] | None:
        """Return the default branch, and what a push to it begins by the manifest that is live; None: no canary."""
        default = (await self._registry.app(app)).default_branch
        live = None if default is None else (await self._registry.snapshot()).live(app).get(default)
        if default is None or live is None or live.manifest is None:
            return None
        mode = live.manifest.rollout
        return (default, mode.plan) if mode.mode is Mode.CANARY and mode.plan else None

    async def _traffic(self, app: AppName, wish: RolloutWish) -> tuple[float | None, str | None, float | None]:
        """Return how many visitors come a day, which split tells so, and within how many seconds, if not of a day."""
        if wish.visitors_a_day is not None:
            return wish.visitors_a_day, None, None
        seen = await self._expectations.last(app)
        if seen is None:
            return None, None, None
        if seen.a_day is not None:
            return seen.a_day, str(seen.split.id), None
        # It began today: what was expected when it did, told by the one before.
        expected = seen.split.expected_visitors
        if expected > LEAST_VISITORS:
            return expected / DAYS, str(seen.split.id), None
        pace = await self._expectations.pace(app)
        return (pace.a_day, str(pace.split.id), pace.seconds) if pace else (None, None, None)

    async def _metric(self, app: AppName, plan: Plan, standing: Standing | None) -> Metric | None:
        """Return what decides: of a rollout that goes on as it was when that began."""
        if plan.metric is None:
            return None
        if standing is not None:
            frozen = (await self._registry.split(app, standing.rollout.split)).brief.primary
            if frozen is not None:
                return frozen
        return await self._planning.metric(app, MetricName(plan.metric))

    async def _verdict(
        self, app: AppName, plan: Plan, wish: RolloutWish, a_day: float | None, metric: Metric | None
    ) -> PlannedVerdict | None:
        if plan.metric is None or metric is None:
            return None
        below = [step for step in plan.steps if step != WHOLE]
        not_worse = plan.goal is Goal.NOT_WORSE
        asked = Wish(
            effect=plan.margin if not_worse else wish.effect,
            relative=True if not_worse else wish.relative,
            metric=MetricName(plan.metric),
            baseline=wish.baseline,
            sd=wish.sd,
            visitors_a_day=a_day,
            weights=(WHOLE - below[-1], below[-1]),
        )
        try:
            found = await self._planning.plan(app, asked)
        except NotFound as reason:
            return PlannedVerdict(
                metric=plan.metric, visitors=None, days=None, window_seconds=None, because=str(reason)
            )
        what = "a loss" if not_worse else "a gain" if found.effect > 0 else "a change"
        return PlannedVerdict(
            metric=plan.metric,
            visitors=found.always_valid.total,
            days=found.always_valid.days,
            window_seconds=metric.until_seconds,
            because=f"{what} of {abs(found.effect):.4g} beside {found.baseline:.4g}, with {found.power:.0%} certainty",
        )


def _days(verdict: PlannedVerdict | None) -> float | None:
    """Return how long it takes until the last visitor that a verdict needs has come, and counts."""
    if verdict is None or verdict.days is None:
        return None
    return verdict.days + (verdict.window_seconds or 0) / 86_400


def _lacking(app: AppName, a_day: float | None, verdict: PlannedVerdict | None) -> str | None:
    if a_day is None:
        return (
            f"not enough data: no split of {app} has had 100 visitors in five minutes or more, so that nobody knows "
            "how many come; say so, --visitors-a-day 800"
        )
    if verdict is not None and verdict.days is None:
        return f"not enough data: {verdict.because}"
    return None


def _plain(step: StepForecast, zone: TimeZone) -> PlannedStep:
    return PlannedStep(
        step=step.step + 1,
        weight=step.weight / 100,
        visitors_a_day=step.a_day,
        begins=shown(zone, step.begins) if step.begins else None,
        seconds=step.seconds,
        waits_for=step.waits_for,
    )
