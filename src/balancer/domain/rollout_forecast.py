"""Forecasts: how long each step of a rollout will take, if nothing speaks against it.

Invariants:
    * A step is over when it has had its time and its visitors, and the next one begins in the hours and in no freeze.
    * Where nobody knows how many visitors come, nothing is forecast that waits for them.
    * It is what `rollout_decision` would do with visitors that come evenly: "at the earliest", never a promise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone
from balancer.domain.freeze import Freeze, goes_on
from balancer.domain.rollout import Goal, Plan
from balancer.domain.rollout_decision import LEAST_SECONDS, STEP_VISITORS
from balancer.domain.weights import WHOLE

# 20 years: beyond that a date says nothing, and calendars end.
_FOREVER = timedelta(days=20 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What is known of the visitors, and of a rollout that goes on."""

    a_day: float | None
    """New visitors of all variants a day; None where nobody knows."""
    verdict_days: float | None = None
    """How long the last step before everybody's takes to show the effect that is wanted; None where nobody knows."""
    step: int = 0
    """The place of the present step."""
    visitors: int = 0
    """That the branch has had in it."""
    step_seconds: float = 0.0
    seconds: float = 0.0
    """Since the rollout began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepForecast:
    """One step."""

    step: int
    """Its place, from 0."""
    weight: int
    """Of the branch, in units of 0.01 %."""
    a_day: float | None
    """Visitors of the branch a day."""
    begins: datetime | None
    """None where nobody knows."""
    seconds: float | None
    """From its beginning, or from now on, to what comes after it; None where nothing does, or nobody knows."""
    waits_for: str
    """What it waits for longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Something that a step needs."""

    seconds: float | None
    what: str


def forecast(
    app: AppName, plan: Plan, traffic: Traffic, at: datetime, zone: TimeZone, freezes: tuple[Freeze, ...]
) -> tuple[tuple[StepForecast, ...], datetime | None]:
    """Return each step from the present one on, and when everybody gets the branch by itself.

    The latter is None where nobody knows, and where a person has to promote it.
    """
    begins: datetime | None = at
    steps: list[StepForecast] = []
    for step in range(traffic.step, len(plan.steps)):
        weight, last = plan.steps[step], step + 1 == len(plan.steps)
        part = None if traffic.a_day is None else traffic.a_day * weight / WHOLE
        shown = partial(StepForecast, step=step, weight=weight, a_day=part, begins=begins)
        if last and weight == WHOLE and (not plan.auto_promote or len(plan.steps) > 1):
            # The promotion has taken its place, or a person does it.
            steps.append(shown(seconds=None, waits_for=""))
            return tuple(steps), begins
        since = None if begins is None else traffic.seconds + (begins - at).total_seconds()
        longest = _longest(_needs(plan, traffic, step, part, since or 0.0))
        ends = None
        if begins is not None and longest.seconds is not None and longest.seconds < _FOREVER.total_seconds():
            ready = begins + timedelta(seconds=max(0.0, longest.seconds))
            ends = goes_on(app, plan.open_hours, zone, freezes, ready)
            if ends > ready:
                longest = _Need(seconds=longest.seconds, what=f"{longest.what}, then hours and freezes")
        seconds = None if begins is None or ends is None else (ends - begins).total_seconds()
        steps.append(shown(seconds=seconds, waits_for=longest.what))
        begins = ends
    return tuple(steps), begins if plan.auto_promote else None  # the last step has what it needs: a person promotes it


def _needs(plan: Plan, traffic: Traffic, step: int, part: float | None, since: float) -> list[_Need]:
    """Return what a step needs that begins `since` seconds after the rollout."""
    present = step == traffic.step
    weight = plan.steps[step]
    needs = [_Need(seconds=plan.step_seconds - (traffic.step_seconds if present else 0.0), what="the time of a step")]
    if weight != WHOLE:
        lacking = max(0, STEP_VISITORS - (traffic.visitors if present else 0))
        seconds = 0.0 if not lacking else lacking / part * 86_400 if part else None
        needs.append(_Need(seconds=seconds, what=f"{STEP_VISITORS} visitors"))
    everybody = step + 1 == len(plan.steps) or plan.steps[step + 1] == WHOLE
    if everybody and plan.metric is not None:
        days = traffic.verdict_days
        so_far = traffic.step_seconds if present else 0.0
        needs.append(
            _Need(seconds=None if days is None else days * 86_400 - so_far, what=f"a verdict of {plan.metric}")
        )
        if plan.goal is Goal.BETTER:
            needs.append(_Need(seconds=LEAST_SECONDS - since, what="7 days"))
    return needs


def _longest(needs: list[_Need]) -> _Need:
    unknown = next((need for need in needs if need.seconds is None), None)
    return unknown or max(needs, key=lambda need: need.seconds or 0.0)
