"""The ramp of a split: its weights over time with deploys and decisions, and the guardrails of its rollout."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from balancer.charts.guardrails import Guardrail, Limit, Point, guardrails
from balancer.charts.ramp import Kind, Mark, Step, ramp
from balancer.charts.scale import told_apart, wall
from balancer.domain.bandit_decision import BanditWhat
from balancer.domain.calendar import TimeZone
from balancer.domain.release import Release
from balancer.domain.rollout_decision import What
from balancer.domain.weights import percent
from balancer.services.bandit_decisions import BanditDecision
from balancer.services.report import Report
from balancer.services.split_detail import Course
from balancer.views.figure import Figure, Line, drawn
from balancer.views.table import Cell, Head, Table, number, word
from balancer.views.written import chance, milliseconds

LIMITS = (Limit(e=20, text="in doubt"), Limit(e=100, text="rolled back"))


_HEADS = (
    Head(text="When", name="at"),
    Head(text="What", name="what"),
    Head(text="Branch", name="branch"),
    Head(text="Weight", name="weight", figures=True),
    Head(text="Which", name="which"),
    Head(text="Why", name="why"),
)


@dataclass(frozen=True, slots=True)
class _Decided:
    """What a rollout or a bandit has decided, to draw and to tell."""

    at: float
    branch: str
    """Whose rollout it is; empty of a bandit, which decides on all."""
    what: str
    why: str
    drawn: bool
    """Whether it has done something: what only waits stands in the table alone."""
    harm: bool


def ramp_of(
    report: Report,
    releases: Iterable[Release],
    course: Course | None,
    zone: TimeZone,
    bandit: Iterable[BanditDecision] = (),
) -> Figure:
    """Return the weights of every branch of a split, with what was deployed and decided meanwhile."""
    names = [variant.branch for variant in report.variants]
    decided = [*_of_rollout(course), *map(_of_bandit, bandit)]
    steps = [
        Step(at=milliseconds(phase.started_at), weights=tuple(dict(phase.shares).get(name, 0.0) for name in names))
        for phase in report.phases
    ]
    began, until = milliseconds(report.started_at), milliseconds(report.ended_at or report.looked_at)
    deployed = [
        (at, release)
        for release in releases
        if str(release.branch) in names and release.activated_at is not None
        for at in (int(release.activated_at.timestamp() * 1000),)
        if began <= at <= until
    ]
    marks = [Mark(at=at, kind=Kind.RELEASE, text=f"{release.branch} {release.number}") for at, release in deployed]
    marks += [Mark(at=each.at, kind=Kind.DECISION, text=each.what, harm=each.harm) for each in decided if each.drawn]
    title = "Weights of the branches, deploys and decisions"
    rows = [
        (_when(step.at, zone), word("weight"), word(name), number(f"{weight:.2%}", weight), word(""), word(""))
        for step in steps
        for name, weight in zip(names, step.weights, strict=True)
    ]
    rows += [
        (
            *(_when(at, zone), word("deploy"), word(str(release.branch)), word("")),
            *(word(f"release {release.number}"), word(release.subject)),
        )
        for at, release in deployed
    ]
    rows += [
        (_when(each.at, zone), word("decision"), word(each.branch), word(""), word(each.what), word(each.why))
        for each in decided
    ]
    # By the moment: where the clock is set back the wall goes through an hour twice.
    ordered = tuple(sorted(rows, key=lambda row: datetime.fromisoformat(str(row[0].raw))))
    return Figure(
        name="ramp",
        title=title,
        pictures=drawn(lambda width: ramp(title, names, steps, marks, until, width, zone=zone.rules)),
        table=Table(caption=title, heads=_HEADS, rows=ordered),
        note="Stacked: each branch is as high as its part of new visitors.",
        lines=tuple(_line(name, place, steps, until) for place, name in enumerate(names)),
        percent=True,
        unit="of new visitors",
    )


def _line(name: str, place: int, steps: Sequence[Step], until: int) -> Line:
    """Return the weight of a branch as stairs: each step is the end of one weight and the beginning of the next."""
    points: list[tuple[int, float]] = []
    for step, end in zip(steps, [int(after.at) for after in steps[1:]] + [until], strict=True):
        points += [(int(step.at), step.weights[place]), (end, step.weights[place])]
    return Line(name=name, points=tuple(points))


def _of_rollout(course: Course | None) -> Iterator[_Decided]:
    for each in course.decisions if course else ():
        action = each.action
        assert course
        yield _Decided(
            milliseconds(each.at),
            str(course.rollout.branch),
            action.what.value,
            f"{action.rule}: {action.reason}",
            action.what is not What.WAIT,
            action.what is What.ROLL_BACK,
        )


def _of_bandit(decision: BanditDecision) -> _Decided:
    action = decision.action
    told = f"{action.what.value} {', '.join(branch for branch, _ in action.out)}".rstrip()
    if action.what is BanditWhat.SHIFT:
        told = ", ".join(f"{branch} {percent(weight)}" for branch, weight in action.weights) or action.rule
    return _Decided(
        milliseconds(decision.at),
        "",
        told,
        f"{action.rule}: {action.reason}",
        action.what is not BanditWhat.WAIT,
        action.what in (BanditWhat.TAKE_OUT, BanditWhat.ROLL_BACK),
    )


def guardrails_of(course: Course, zone: TimeZone) -> Figure:
    """Return the evidence of each guardrail at each decision that was kept."""
    points: dict[str, list[Point]] = {}
    rows = []
    for decision in course.decisions:
        at = milliseconds(decision.at)
        for guard in decision.seen.guards if decision.seen else ():
            points.setdefault(guard.name, []).append(Point(at=at, log_e=guard.log_e))
            e = math.exp(min(guard.log_e, 700.0))
            rows.append(
                (
                    _when(at, zone),
                    word(guard.name),
                    number(f"{e:.3g}", e),
                    number(chance(guard.p), guard.p),
                    word(guard.figures),
                )
            )
    rails = [Guardrail(name=name, points=tuple(found)) for name, found in points.items()]
    title = "Guardrails: the evidence E that the branch does harm"
    pictures = drawn(lambda width: guardrails(title, rails, LIMITS, width, zone=zone.rules))
    heads = (
        Head(text="When", name="at"),
        Head(text="Guardrail", name="guardrail"),
        Head(text="E", name="e", figures=True),
        Head(text="p", name="p", figures=True),
        Head(text="Figures", name="figures"),
    )
    return Figure(
        name="guardrails",
        title=title,
        pictures=pictures,
        table=Table(caption=title, heads=heads, rows=tuple(rows)),
        note="At each decision that was kept. Whoever looks may look as often as they like: E stays true.",
        lines=tuple(
            Line(name=rail.name, points=tuple((int(p.at), math.exp(min(p.log_e, 20.0))) for p in rail.points))
            for rail in rails
        ),
        unit="E",
        logarithmic=True,
    )


def _when(at: float, zone: TimeZone) -> Cell:
    shown = wall(at, zone.rules)
    return Cell(text=f"{shown:%Y-%m-%d %H:%M}{told_apart(shown)}", raw=shown.isoformat(timespec="seconds"))
