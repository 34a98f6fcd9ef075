"""Plans of splits: how many visitors and days one needs, and what it could show in 14 days.

Invariants:
    * What is not said is taken from the visitors of the app's last split; where there are none that is an error that
      says what to give, never a guess.
    * A plan is of a split as it would be begun now: with the same N*, and one alpha that its comparisons share.
"""

import math
from dataclasses import dataclass

from balancer.domain.app import AppName
from balancer.domain.event import EventName
from balancer.domain.metric import Kind, Metric, MetricName, implied
from balancer.domain.split import Split
from balancer.errors import InvalidInput, NotFound
from balancer.services.expectation import DAYS, Expectations, expected
from balancer.services.metrics import Metrics
from balancer.services.outcome import ALPHA
from balancer.services.registry import Registry
from balancer.stats.arm import Arm, cuped_theta
from balancer.stats.cells import MeasureCells, SplitCells
from balancer.stats.comoments import CoMoments
from balancer.stats.power import Baseline, Plan, Sample

# 100: with fewer visitors the baseline is no better than a guess.
_VISITORS = 100
_RATES = frozenset({Kind.CONVERTED, Kind.RETENTION, Kind.FUNNEL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to see, and what they know already."""

    effect: float
    """What a variant is to give more (or less) than the control."""
    relative: bool
    """Whether that is a part of the control's number (0.1: 10 % more), or in its own unit."""
    metric: MetricName | None = None
    """The one that is to decide, or an event."""
    baseline: float | None = None
    """What a visitor of the control gives: a rate from 0 to 1, or with `sd` a mean."""
    sd: float | None = None
    """Of the numbers of the control's visitors."""
    visitors_a_day: float | None = None
    """Those that the split will get, all variants together."""
    weights: tuple[int, ...] = (1, 1)
    """The control's first."""
    power: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one way of deciding takes."""

    visitors: tuple[int, ...]
    """Of each variant, in the order of the weights."""
    total: int
    days: int | None
    """None where nobody knows how many come a day."""
    shows: float | None
    """The smallest gain that 14 days could show, in the number's own unit; None where none is, or nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """A split that has not begun; plain, so that JSON carries it."""

    metric: str | None
    is_rate: bool
    baseline: float
    sd: float
    baseline_from: str | None
    """The split whose control gave it; None where it was said."""
    effect: float
    """In the number's own unit."""
    visitors_a_day: float | None
    visitors_from: str | None
    """The split that had so many; None where it was said."""
    weights: tuple[int, ...]
    power: float
    alpha: float
    always_valid: Need
    """Deciding whenever it is clear."""
    fixed: Need
    """Deciding on a day that is declared before."""


class Planning:
    """Plans splits."""

    def __init__(self, registry: Registry, metrics: Metrics, expectations: Expectations) -> None:
        self._registry = registry
        self._metrics = metrics
        self._expectations = expectations

    async def plan(self, app: AppName, wish: Wish) -> SplitPlan:
        """Return what a split of an app would need.

        Raises AppNotFound, InvalidInput for what cannot be, NotFound where the ledger does not know what was not said,
        LedgerUnavailable.
        """
        await self._registry.app(app)
        baseline, a_day, seen, metric = _said(wish), wish.visitors_a_day, None, None
        baseline_from = visitors_from = None
        if baseline is None:
            metric = await self.metric(app, wish.metric)
        if metric or a_day is None:
            seen = await self._expectations.last(app, (metric,) if metric else ())
        if baseline is None:
            if seen is None:
                raise NotFound(f"{app} has had no split yet that tells what {wish.metric} is: give it, --baseline 5%")
            assert metric is not None
            baseline, baseline_from = _baseline(metric, seen.split, seen.cells), str(seen.split.id)
        if a_day is None and seen is not None and seen.a_day is not None:
            a_day, visitors_from = seen.a_day, str(seen.split.id)
        effect = wish.effect * baseline.mean if wish.relative else wish.effect
        try:
            plan = Plan(baseline=baseline, weights=wish.weights, alpha=ALPHA, power=wish.power)
            always_valid = plan.always_valid(effect, expected_visitors=expected(a_day))
            fixed = plan.fixed(effect)
            in_time = math.floor(DAYS * a_day) if a_day else 0
            shown = (
                (plan.smallest_always_valid(in_time, expected_visitors=expected(a_day)), plan.smallest_fixed(in_time))
                if in_time
                else (None, None)
            )
            needs = _need(always_valid, a_day, shown[0]), _need(fixed, a_day, shown[1])
        except ValueError as reason:
            raise InvalidInput(f"there is no such split to plan: {reason}") from reason
        return SplitPlan(
            metric=None if wish.metric is None else str(wish.metric),
            is_rate=baseline.is_rate,
            baseline=baseline.mean,
            sd=baseline.sd,
            baseline_from=baseline_from,
            effect=effect,
            visitors_a_day=a_day,
            visitors_from=visitors_from,
            weights=wish.weights,
            power=wish.power,
            alpha=ALPHA,
            always_valid=needs[0],
            fixed=needs[1],
        )

    async def metric(self, app: AppName, name: MetricName | None) -> Metric:
        """Return the metric of a name as a split would have it that began now. Raises InvalidInput, AppNotFound."""
        if name is None:
            raise InvalidInput("say of what: a metric or an event (--metric purchase), or a number (--baseline 5%)")
        declared = await self._metrics.declared(app)
        of_name = (metric for metric in declared if metric.name == name)
        metric = next(of_name, None) or implied(EventName(name), valued=False)[0]
        if not metric.decides:
            raise InvalidInput(f"the metric {name} is a quantile, which is for display, and decides nothing")
        return metric


def _said(wish: Wish) -> Baseline | None:
    """Return the baseline that was given. Raises InvalidInput for one that cannot be."""
    if wish.baseline is None:
        if wish.sd is not None:
            raise InvalidInput("--sd says how the numbers spread about --baseline: give that too")
        return None
    try:
        if wish.sd is None:
            return Baseline.of_rate(wish.baseline)
        return Baseline.of_mean(wish.baseline, wish.sd)
    except ValueError as reason:
        raise InvalidInput(f"{reason}; a rate is 5% or 0.05, a mean needs --sd beside it") from reason


def _baseline(metric: Metric, split: Split, found: SplitCells) -> Baseline:
    """Return what the mature visitors of the control gave. Raises NotFound where they tell nothing."""
    arm = _arm(metric, split, found.measures[0])
    if arm.n < _VISITORS:
        raise NotFound(
            f"{split.id} of {split.app} has {arm.n} visitors of {split.control} whose time for {metric.name} is over, "
            f"and {_VISITORS} are needed to plan by: give the number, --baseline 5%"
        )
    try:
        if metric.kind in _RATES and not metric.cuped:
            return Baseline.of_rate(arm.mean)
        return Baseline.of_mean(arm.mean, arm.moments.sd or 0.0)
    except ValueError as reason:
        raise NotFound(
            f"the {arm.n} visitors of {split.control} in {split.id} all gave {arm.mean:g} for {metric.name}, which "
            "says nothing of how they differ: give the number, --baseline 5%"
        ) from reason


def _arm(metric: Metric, split: Split, measured: MeasureCells) -> Arm:
    """Return the mature visitors of the control."""
    cells = [cell for cell in measured.cells if cell.mature and cell.variant == split.control.slug]
    whole = sum((cell.moments for cell in cells), CoMoments.empty())
    conversions = sum(cell.conversions for cell in cells)
    if metric.kind in (Kind.RATIO, Kind.MEAN):
        return Arm.of_ratio(whole, conversions)
    theta = cuped_theta([[whole]]) if metric.cuped else 0.0
    return Arm.of_adjusted(whole, conversions, theta, whole.mean_x)


def _need(sample: Sample, a_day: float | None, shows: float | None) -> Need:
    days = sample.days(a_day) if a_day is not None else None
    return Need(visitors=sample.visitors, total=sample.total, days=days, shows=shows)
