"""The head of a split's page: what the verdict needs next, and the lights beside it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import urlencode

from balancer.domain.calendar import TimeZone, shown
from balancer.domain.metric import Role
from balancer.domain.rollout import ENDED, RolloutState
from balancer.domain.rollout_decision import BREACHED, DOUBTFUL, Guard
from balancer.domain.split import CANARY, SplitState
from balancer.services.outcome import MetricReport, Reading
from balancer.services.report import Report
from balancer.services.split_detail import Course, VisitorDays
from balancer.stats.arm import Inconclusive
from balancer.stats.verdict import Verdict
from balancer.views.written import chance, reading_tone

# 7: a week has its weekend, and what was before is another time.
_DAYS = 7
_UTC = TimeZone("UTC")


class Kind(Enum):
    """What a light says, by its shape and its colour; the word stands beside it."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One thing that was watched."""

    name: str
    kind: Kind
    word: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a page offers to do."""

    words: str
    page: str
    """The address of the page that says what will happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done, or waited for, next."""

    text: str
    command: str | None = None
    """What somebody may type."""
    act: Act | None = None
    """Where somebody who may does it by the dashboard; it asks first."""


def lights(report: Report, course: Course | None) -> tuple[Light, ...]:
    """Return the light of the sample ratio, and those of the guardrails."""
    ratio = report.sample_ratio
    counts = ", ".join(f"{each.variant} {each.observed:,}" for each in ratio.counts)
    found = [
        Light(
            name="Sample ratio",
            kind=Kind.BAD if ratio.alarm else Kind.GOOD,
            word="alarm" if ratio.alarm else "as intended",
            reason=f"{counts or 'no visitor yet'}; p {chance(ratio.p)}, the alarm is at 0.001",
        )
    ]
    return (*found, *_guards(report, course))


def next_steps(
    report: Report, days: VisitorDays | None, course: Course | None, clock: TimeZone = _UTC
) -> tuple[Step, ...]:
    """Return what the verdict needs, or says should be done; who drives a split is steered, not the split.

    Times are shown as `clock` does.
    """
    return tuple(_steps(report, visitors_a_day(days) if days else None, course, clock))


def visitors_a_day(days: VisitorDays) -> float | None:
    """Return how many visitors came a day, of the last seven days but the present one; None of less than an hour."""
    if not days.spans:
        return None
    last = days.spans[-1].end
    spans = [span for span in days.spans if span.start >= last - _DAYS * 86_400_000] or [days.spans[-1]]
    hours = (last - spans[0].start) / 3_600_000
    return sum(sum(span.visitors) for span in spans) / hours * 24 if hours >= 1 else None


def _guards(report: Report, course: Course | None) -> Iterator[Light]:
    """Give the guardrails of the rollout as it saw them last, then the metrics that must not get worse."""
    seen = next((each.seen for each in reversed(course.decisions) if each.seen), None) if course else None
    known = {guard.name for guard in seen.guards} if seen else set()
    for guard in seen.guards if seen else ():
        yield _guard(guard)
    for metric in report.metrics:
        if metric.role is not Role.GUARDRAIL or metric.metric in known:
            continue
        readings = [each.difference.reading for each in metric.outcomes if each.difference]
        worse = [each for each in readings if reading_tone(each, metric.better).value == "bad"]
        decided = [each for each in readings if each not in (Reading.NOT_ENOUGH_DATA, Reading.HIDDEN)]
        kind = Kind.BAD if worse else Kind.GOOD if decided else Kind.OFF
        word = "worse" if worse else "no harm shown" if decided else "not enough data"
        yield Light(name=metric.metric, kind=kind, word=word, reason="a metric that must not get worse")


def _guard(guard: Guard) -> Light:
    e = math.exp(min(guard.log_e, 20.0))
    kind, word = Kind.GOOD, "no harm shown"
    if guard.log_e >= BREACHED:
        kind, word = Kind.BAD, "breached"
    elif guard.log_e >= DOUBTFUL:
        kind, word = Kind.WARN, "in doubt"
    return Light(name=guard.name, kind=kind, word=word, reason=f"{guard.figures}; E = {e:.2g}, rolled back at 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How something is done: by a command, and by a page where one has it."""

    command: str
    act: Act | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """What ends a split."""

    ship: _Way
    """Everybody gets the branch that the verdict names."""
    keep: _Way
    """Everybody sees the control."""
    anew: _Way
    """What it has is not read."""
    watch: str | None = None
    """What shows the rollout that goes on, where one drives the split."""


def _ways(report: Report, course: Course | None) -> _Ways:
    app, winner = report.app, report.verdict.variant or report.control
    on, everybody = f"/apps/{app}", f"Give everybody {winner}…"
    if report.bandit:
        end = _Way(command=f"balancer bandit abort {app}", act=Act(words="End the bandit…", page=f"{on}/bandit/abort"))
        page = f"{on}/bandit/promote?{urlencode({'branch': winner})}"
        ship = _Way(command=f"balancer bandit promote {app} {winner}", act=Act(words=everybody, page=page))
        return _Ways(ship=ship, keep=end, anew=end)
    if course is not None and course.rollout.state not in ENDED:
        end = _Way(
            command=f"balancer rollout abort {app}", act=Act(words="End the rollout…", page=f"{on}/rollout/abort")
        )
        ship = _Way(command=f"balancer rollout promote {app}", act=Act(words=everybody, page=f"{on}/rollout/promote"))
        return _Ways(ship=ship, keep=end, anew=end, watch=f"balancer rollout status {app} --watch")
    return _Ways(
        ship=_concluding(app, winner, everybody),
        keep=_concluding(app, report.control, f"Keep {report.control}…"),
        anew=_Way(
            command=f"balancer split reshuffle {app}", act=Act(words="Begin it anew…", page=f"{on}/split/reshuffle")
        ),
    )


def _concluding(app: str, winner: str, words: str) -> _Way:
    page = f"/apps/{app}/split/conclude?{urlencode({'winner': winner})}"
    return _Way(command=f"balancer split conclude {app} --winner {winner}", act=Act(words=words, page=page))


def _is_taken_back(report: Report, course: Course) -> bool:
    weights = {variant.branch: variant.share for variant in report.variants}
    return course.rollout.state is RolloutState.ROLLED_BACK and not weights.get(course.rollout.branch)


def _taken_back(report: Report, course: Course) -> Step:
    """Return what is next where a rollout has left the split behind."""
    app, branch = report.app, course.rollout.branch
    if branch == CANARY:
        return Step(
            text=f"Everyone sees {report.control}. Look at what the canary did, mend it and push; the next canary "
            "takes the place of this split. To end it before:",
            command=f"balancer rollout abort {app}",
        )
    return Step(
        text=f"Everyone sees {report.control}. Look at what {branch} did, mend it and push it; the next rollout takes "
        "the place of this split.",
        command=f"balancer rollout start {app} {branch}",
        act=Act(words="Begin a rollout…", page=f"/apps/{app}/rollout/start?{urlencode({'branch': branch})}"),
    )


def _steps(report: Report, a_day: float | None, course: Course | None, clock: TimeZone) -> Iterator[Step]:
    app, verdict, ways = report.app, report.verdict, _ways(report, course)
    if report.state in (SplitState.CONCLUDED, SplitState.CANCELLED):
        yield Step(text=f"The split is {report.state.value}; this is its report, as it was kept.")
        return
    if course is not None and _is_taken_back(report, course):
        yield _taken_back(report, course)
        return
    if verdict.verdict is Verdict.BROKEN_SPLIT:
        yield Step(
            text="Find what favours a branch before any difference is read: a redirect, a cache, bots, an error in "
            "one branch; then begin anew.",
            command=ways.anew.command,
            act=ways.anew.act,
        )
        return
    if verdict.verdict is Verdict.SHIP:
        yield Step(
            text=f"Give {verdict.variant} to everybody.",
            command=ways.ship.command,
            act=ways.ship.act,
        )
        return
    if verdict.verdict is Verdict.ROLL_BACK:
        yield Step(text="Keep the control.", command=ways.keep.command, act=ways.keep.act)
        return
    if report.decide_at is not None and report.decide_at > report.looked_at:
        at = shown(clock, datetime.fromisoformat(report.decide_at))[:16].replace("T", " ")
        yield Step(text=f"Its result is read once, at {at} ({clock}); until then wait.")
        return
    primary = next((metric for metric in report.metrics if metric.primary), None)
    if primary is None and ways.watch:
        yield Step(text="No metric decides: the rollout goes on while its guardrails show no harm.", command=ways.watch)
        return
    if primary is None:
        yield Step(
            text="No metric decides this split. Name one when the next one is begun.",
            command=f"balancer split start {app} BRANCH=50 BRANCH=50 --metric EVENT",
        )
        return
    yield from _waits(report, primary, a_day)


def _waits(report: Report, primary: MetricReport, a_day: float | None) -> Iterator[Step]:
    """Give what is waited for: visitors, and that they are mature."""
    if not any(outcome.visitors for outcome in primary.outcomes):
        yield Step(text="Nobody was counted yet: a visitor is, when their cookie comes back with a second request.")
        return
    for outcome in primary.outcomes:
        if outcome.difference and outcome.difference.needed is not None:
            days = f", {_days(outcome.difference.needed / a_day)} at the present rate" if a_day else ""
            yield Step(
                text=f"About {outcome.difference.needed:,} more visitors until {outcome.branch} is told from "
                f"{report.control}, if the truth is what is seen{days}."
            )
    if any(outcome.mature < outcome.visitors for outcome in primary.outcomes):
        mature = ", ".join(f"{each.branch} {each.mature:,} of {each.visitors:,}" for each in primary.outcomes)
        yield Step(
            text=f"Visitors count {_days(primary.window_seconds / 86_400)} after their assignment, "
            f"when they are mature: {mature}."
        )
    if report.verdict.verdict is Verdict.NOT_ENOUGH_DATA:
        yield Step(text="Each branch needs 100 mature visitors, and 50 of all together must have converted.")
    for outcome in primary.outcomes:
        if outcome.difference and isinstance(outcome.difference.comparison, Inconclusive):
            yield Step(text=f"{outcome.branch}: {outcome.difference.comparison.reason.value}.")


def _days(days: float) -> str:
    if days < 1 / 24:
        return f"{max(round(days * 1440), 1)} min"
    if days < 2:
        return f"{round(days * 24)} h"
    return f"{days:,.0f} days"
