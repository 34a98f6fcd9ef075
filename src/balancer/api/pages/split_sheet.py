"""All that the page of one split shows, gathered; what the ledger cannot say just now is left out, and told.

Invariants:
    * The report decides what is said; each section beside it may fail without the others.
    * The questions are asked at once, and none is waited for longer than its deadline.
    * What the report was made of is not asked for again.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from balancer.api.platform import Platform
from balancer.charts.scale import wall
from balancer.domain.app import AppName
from balancer.domain.calendar import HOUR_MILLISECONDS, TimeZone, Unit
from balancer.domain.metric import MetricName
from balancer.domain.release import Release
from balancer.domain.split import OVER, Split
from balancer.errors import BalancerError, Unavailable
from balancer.services.bandit_decisions import BanditDecision
from balancer.services.bandits import BanditStanding
from balancer.services.breakdown import Breakdown
from balancer.services.looks import KeptLook
from balancer.services.raw_stats import RawStatistics
from balancer.services.report import Report
from balancer.services.split_detail import Course, Values, VisitorDays
from balancer.stats.cells import SplitCells
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
# 5 s: ten times what the ledger takes for 10 M events; who waits longer would rather see the rest of the page.
_SECTION_SECONDS = 5.0
# 20 s: without the report there is no page, but nobody sits before an empty one for longer.
_REPORT_SECONDS = 20.0
# 1,000: more than an app sees while a split runs.
_RELEASES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The page."""

    split: Split
    report: Report
    zone: str
    """Whose days the charts have."""
    clock: str
    """Whose hours they have."""
    asked: Asked
    over: bool
    lights: tuple[Light, ...]
    steps: tuple[Step, ...]
    metrics: tuple[MetricView, ...]
    effects: tuple[Figure, ...]
    visitors: Figure | None
    events: tuple[EventView, ...]
    bandit: BanditStanding | None
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


async def sheet_of(
    on: Platform, split: Split, asked: Asked, only: str | None = None, clock: TimeZone | None = None
) -> Sheet:
    """Gather the page of a split; with `only`, what the figure of that name needs.

    Times of day are shown as `clock` does; None: as a clock of the app's zone, whose days they are in any case.

    Raises AppNotFound; Unavailable, of which LedgerUnavailable is one, where there is no report.
    """
    app, troubles = split.app, dict[str, str]()

    async def section(name: str, work: Coroutine[None, None, Found | None]) -> Found | None:
        if only is not None and only != name and not only.startswith(f"{name}-"):
            work.close()
            return None
        try:
            async with asyncio.timeout(_SECTION_SECONDS):
                return await work
        except TimeoutError:
            troubles[name] = f"The ledger has not said it within {_SECTION_SECONDS:g} s; load the page again."
        except BalancerError as reason:
            troubles[name] = str(reason)
        return None

    async def raw() -> RawStatistics:
        since = _since((await report)[0], asked.by, await zone) if asked.by is Unit.HOUR else None
        return await on.raw_stats.of(app, asked.by, split=split.id, since=since)

    async def cut() -> Breakdown | None:
        if asked.dimension is None:
            return None
        of = MetricName(asked.of) if asked.of else None
        if of is None and split.brief.primary is None:
            of = _first((await report)[0])
        return await on.reports.by_dimension(app, asked.dimension, of, split.id)

    try:
        async with asyncio.TaskGroup() as together:
            begin = together.create_task
            report = begin(_report(on, split))
            zone = begin(on.split_details.zone(app))
            kept, course = begin(on.split_details.looks(split)), begin(on.split_details.course(split))
            bandit = begin(_bandit(on, split))
            releases = begin(on.registry.releases(app, limit=_RELEASES))
            days = begin(section("visitors", on.split_details.visitors(split))) if split.state in OVER else None
            events = begin(section("event", raw()))
            values = begin(section("values", on.split_details.values(app, asked.values, split.id)))
            breakdown = begin(section("breakdown", cut()))
            plan = begin(section("plan", plan_of(on, app, asked)))
    except BaseExceptionGroup as reasons:
        raise reasons.exceptions[0] from None
    reported, cells = report.result()
    return _made(
        split,
        asked,
        reported,
        zone.result(),
        clock or zone.result(),
        kept=kept.result(),
        course=course.result(),
        bandit=bandit.result(),
        releases=releases.result(),
        days=days.result() if days else await section("visitors", on.split_details.visitors(split, cells)),
        raw=events.result(),
        values=values.result(),
        cut=breakdown.result(),
        plan=plan.result(),
        troubles=troubles,
    )


async def bandit_of(on: Platform, split: Split) -> BanditStanding | None:
    """Return how the bandit of a split stands, where it is the app's latest."""
    standing = await on.bandits.standing(split.app) if split.brief.bandit else None
    return standing if standing and standing.bandit.split == split.id else None


async def _bandit(on: Platform, split: Split) -> tuple[BanditStanding | None, tuple[BanditDecision, ...]]:
    """Return the same with what it has decided."""
    standing = await bandit_of(on, split)
    return standing, await on.bandits.decisions(split.app) if standing else ()


async def _report(on: Platform, split: Split) -> tuple[Report, SplitCells | None]:
    try:
        async with asyncio.timeout(_REPORT_SECONDS):
            return await on.reports.with_cells(split.app, split.id)
    except TimeoutError:
        raise Unavailable(
            f"the ledger takes longer than {_REPORT_SECONDS:g} s to report on {split.id}; "
            f"`balancer stats {split.app} --split {split.id}` waits longer"
        ) from None


def _made(
    split: Split,
    asked: Asked,
    report: Report,
    zone: TimeZone,
    clock: TimeZone,
    *,
    kept: tuple[KeptLook, ...],
    course: Course | None,
    bandit: tuple[BanditStanding | None, tuple[BanditDecision, ...]],
    releases: Sequence[Release],
    days: VisitorDays | None,
    raw: RawStatistics | None,
    values: Values | None,
    cut: Breakdown | None,
    plan: PlanView | None,
    troubles: dict[str, str],
) -> Sheet:
    """Return the page that the answers make."""
    return Sheet(
        split=split,
        report=report,
        zone=str(zone),
        clock=str(clock),
        asked=asked,
        over=split.state in OVER,
        lights=lights(report, course),
        steps=next_steps(report, days, course, clock),
        metrics=metric_views(report),
        effects=effects(report, kept, zone, clock),
        visitors=visitors_over_time(report, days) if days else None,
        events=event_views(raw, clock, [each.branch for each in report.variants]) if raw else (),
        bandit=bandit[0],
        ramp=ramp_of(report, releases, course, clock, bandit[1]),
        guardrails=guardrails_of(course, clock) if course else None,
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
