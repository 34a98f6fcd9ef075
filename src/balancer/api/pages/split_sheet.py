"""All that the page of one split shows, gathered; what the ledger cannot say just now is left out, and told.

Invariant: the report decides what is said; each section beside it may fail without the others.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from balancer.api.platform import Platform
from balancer.charts.scale import wall
from balancer.domain.app import AppName
from balancer.domain.calendar import HOUR_MILLISECONDS, TimeZone, Unit
from balancer.domain.metric import MetricName
from balancer.domain.split import OVER, Split
from balancer.errors import BalancerError
from balancer.services.report import Report
from balancer.services.split_detail import Values
from balancer.views.breakdowns import breakdown_of
from balancer.views.effects import effects
from balancer.views.events import EventView, event_views
from balancer.views.figure import Figure
from balancer.views.headline import Light, Step, lights, next_steps
from balancer.views.metrics import MetricView, metric_views
from balancer.views.plans import EFFECTS, PlanView, plan_view
from balancer.views.ramps import guardrails_of, ramp_of
from balancer.views.values import distribution_of
from balancer.views.visitors import visitors_over_time
from balancer.views.written import milliseconds
from balancer.wire.asked import Asked

Found = TypeVar("Found")
DIMENSIONS = ("device", "country", "path", "release")
"""What every platform tells of visitors; an app adds its own."""
# 3 days of hours, 10 years of the rest: as many columns as a screen has room for.
_HOURS = 72
# 1,000: more than an app sees while a split runs.
_RELEASES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The page."""

    split: Split
    report: Report
    zone: str
    asked: Asked
    over: bool
    lights: tuple[Light, ...]
    steps: tuple[Step, ...]
    metrics: tuple[MetricView, ...]
    effects: tuple[Figure, ...]
    visitors: Figure | None
    events: tuple[EventView, ...]
    ramp: Figure
    guardrails: Figure | None
    values: Figure | None
    values_of: Values | None
    breakdown: Figure | None
    plan: PlanView | None
    troubles: dict[str, str]
    """Of each section that could not be made, why."""

    @property
    def figures(self) -> dict[str, Figure]:
        """Every chart, by its name."""
        found = chain(
            (metric.forest for metric in self.metrics),
            (metric.funnel for metric in self.metrics),
            self.effects,
            (self.visitors, self.ramp, self.guardrails, self.values, self.breakdown),
            (event.figure for event in self.events),
        )
        return {figure.name: figure for figure in found if figure is not None}


async def sheet_of(on: Platform, split: Split, asked: Asked) -> Sheet:
    """Gather the page of a split. Raises AppNotFound, LedgerUnavailable where there is no report."""
    app, troubles = split.app, dict[str, str]()

    async def section(name: str, work: Awaitable[Found]) -> Found | None:
        try:
            return await work
        except BalancerError as reason:
            troubles[name] = str(reason)
            return None

    report = await on.reports.of(app, split.id)
    zone = await on.split_details.zone(app)
    kept, course = await on.split_details.looks(split), await on.split_details.course(split)
    days = await section("visitors", on.split_details.visitors(app, split.id))
    raw = await section("events", on.raw_stats.of(app, asked.by, split=split.id, since=_since(report, asked.by, zone)))
    values = await section("values", on.split_details.values(app, asked.values, split.id))
    cut = None
    if asked.dimension is not None:
        of = MetricName(asked.of) if asked.of else _first(report)
        cut = await section("breakdown", on.reports.by_dimension(app, asked.dimension, of, split.id))
    plan = await section("plan", plan_of(on, app, asked))
    releases = await on.registry.releases(app, limit=_RELEASES)
    branch = (
        str(course.rollout.branch)
        if course
        else next((each.branch for each in report.variants if each.branch != report.control), report.control)
    )
    named = {variant.branch for variant in report.variants}
    return Sheet(
        split=split,
        report=report,
        zone=str(zone),
        asked=asked,
        over=split.state in OVER,
        lights=lights(report, course),
        steps=next_steps(report, days, course),
        metrics=metric_views(report),
        effects=effects(report, kept, zone),
        visitors=visitors_over_time(report, days) if days else None,
        events=event_views(raw) if raw else (),
        ramp=ramp_of(report, branch, (each for each in releases if str(each.branch) in named), course, zone),
        guardrails=guardrails_of(course, zone) if course else None,
        values=distribution_of(values) if values else None,
        values_of=values,
        breakdown=breakdown_of(cut) if cut else None,
        plan=plan,
        troubles=troubles,
    )


def _first(report: Report) -> MetricName | None:
    """Return what to cut where no metric decides: the first there is."""
    if any(metric.primary for metric in report.metrics) or not report.metrics:
        return None
    return MetricName(report.metrics[0].metric)


def _since(report: Report, by: Unit, zone: TimeZone) -> str | None:
    """Return from when on hours are shown: the last three days; other units from the beginning."""
    if by is not Unit.HOUR:
        return None
    return wall(milliseconds(report.looked_at) - _HOURS * HOUR_MILLISECONDS, zone.rules).strftime("%Y-%m-%dT%H:00")


async def plan_of(on: Platform, app: AppName, asked: Asked) -> PlanView | None:
    """Return the plan that was asked for, with those of other effects from the same baseline.

    Raises InvalidInput, InvalidName, NotFound, LedgerUnavailable.
    """
    wish = asked.wish()
    if wish is None:
        return None
    plan = await on.planning.plan(app, wish)
    known = replace(
        wish,
        relative=True,
        baseline=plan.baseline,
        sd=None if plan.is_rate else plan.sd,
        visitors_a_day=plan.visitors_a_day,
    )
    beside = [(plan.effect / plan.baseline, plan)] if plan.baseline else []
    for effect in EFFECTS:
        try:
            beside.append((effect, await on.planning.plan(app, replace(known, effect=effect))))
        except BalancerError:
            continue  # a rate above 100 %, say: there is no such effect
    return plan_view(plan, tuple(beside))
