"""The ramp: a branch's weight over time as steps, with what was deployed and what was decided below it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum
from itertools import pairwise

from balancer.charts.frame import Frame
from balancer.charts.numbers import axis_percent
from balancer.charts.scale import Scale, moments, wall
from balancer.charts.svg import NARROW, WIDE, label, line, nothing, path, picture, said, text_width

_LANE = 24.0


class Kind(Enum):
    """What a mark is of; each has a lane of its own."""

    RELEASE = "deploys"
    DECISION = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A weight, until the next one."""

    at: float
    """Milliseconds since 1970."""
    weight: float
    """From 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened."""

    at: float
    kind: Kind
    text: str
    """A word or two; what has no room beside its mark is told to a pointer, and stands in the table."""
    harm: bool = False
    """Whether it is bad news: a rollback. Its mark is a cross."""


def ramp(
    title: str,
    steps: Sequence[Step],
    marks: Sequence[Mark],
    until: float,
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
) -> str:
    """Return the weights until a time, with the marks of releases and decisions."""
    steps = sorted((step for step in steps if math.isfinite(step.at) and math.isfinite(step.weight)), key=_at)
    marks = sorted((mark for mark in marks if math.isfinite(mark.at)), key=_at)
    if not steps:
        return nothing("ramp", title, "No weight was given yet.", width)
    lanes = [kind for kind in Kind if any(mark.kind is kind for mark in marks)]
    height = (150.0 if width <= NARROW else 170.0) + _LANE * len(lanes)
    now = f"{axis_percent(steps[-1].weight)} now"
    frame = Frame.within(width, height - _LANE * len(lanes), names=text_width(now) + 12)
    across = moments([step.at for step in steps] + [mark.at for mark in marks] + [until], frame.left, frame.right)
    up = Scale(low=0.0, high=1.0, start=frame.bottom, end=frame.top)
    parts = frame.grid(up, axis_percent)
    points = _stairs(steps, across, up)
    parts.append(path([(points[0][0], frame.bottom), *points, (points[-1][0], frame.bottom)], "band", closed=True))
    parts.append(path(points, "line"))
    for step in steps:
        x = across.place(step.at)
        dot = path([(x, up.place(step.weight))] * 2, "dot")
        parts.append(said(f"{wall(step.at, zone):%d %b %H:%M}: {axis_percent(step.weight)}", dot))
    parts.append(label(frame.right + 6, points[-1][1] + 4, now, "label strong"))
    for number, kind in enumerate(lanes):
        y = height - 26 - _LANE * (len(lanes) - number) + 18
        parts += _lane([mark for mark in marks if mark.kind is kind], across, y, zone, frame)
    axis = Frame(left=frame.left, right=frame.right, top=frame.top, bottom=height - 26)
    parts += axis.times(across, zone)
    weights = " → ".join(axis_percent(step.weight) for step in steps)
    told = "; ".join(f"{wall(mark.at, zone):%d %b %H:%M} {mark.text}" for mark in marks)
    return picture("ramp", title, f"Weights {weights}. {told or 'Nothing else happened'}.", width, height, *parts)


def _at(what: Step | Mark) -> float:
    return what.at


def _stairs(steps: Sequence[Step], across: Scale, up: Scale) -> list[tuple[float, float]]:
    points = [(across.place(steps[0].at), up.place(steps[0].weight))]
    for before, after in pairwise(steps):
        x = across.place(after.at)
        points += [(x, up.place(before.weight)), (x, up.place(after.weight))]
    return [*points, (across.end, up.place(steps[-1].weight))]


def _lane(marks: Sequence[Mark], across: Scale, y: float, zone: tzinfo, frame: Frame) -> list[str]:
    """Return the marks of one kind; those that stand too close for their words keep them for the pointer."""
    parts = [
        line(frame.left, y, frame.right, y, "grid"),
        label(frame.left - 6, y + 4, marks[0].kind.value, "tick", "end"),
    ]
    places = [across.place(mark.at) for mark in marks]
    for number, (mark, x) in enumerate(zip(marks, places, strict=True)):
        following = places[number + 1] - 8 if number + 1 < len(marks) else frame.right + 60
        told = [_shape(mark, x, y)]
        if x + 10 + text_width(mark.text) <= following:
            told.append(label(x + 9, y - 5, mark.text, "tick"))
        parts.append(
            said(f"{wall(mark.at, zone):%d %b %H:%M}: {mark.text}", *told, kind="tone-bad" if mark.harm else "")
        )
    return parts


def _shape(mark: Mark, x: float, y: float) -> str:
    if mark.harm:
        return path([(x - 5, y - 5), (x + 5, y + 5)], "cross") + path([(x - 5, y + 5), (x + 5, y - 5)], "cross")
    if mark.kind is Kind.RELEASE:
        return path([(x, y - 6), (x + 6, y + 5), (x - 6, y + 5)], "mark", closed=True)
    return path([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], "mark", closed=True)
