"""The ramp: the weight of each branch over time as stacked steps, with what was deployed and what was decided below.

Invariants:
    * A weight holds until the next one: edges are level or upright, never slopes.
    * Branches lie on each other in the order of their names, as in the chart of their visitors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum
from itertools import accumulate, pairwise

from balancer.charts.frame import Frame, apart
from balancer.charts.numbers import axis_percent
from balancer.charts.scale import Scale, moments, wall_time
from balancer.charts.svg import NARROW, WIDE, box, cut, label, line, nothing, path, picture, said, text_width

_LANE = 24.0
# 12: a name of the left axis and one of a lane stand clear of each other.
_GAP = 12.0
# 8: as many steps as somebody listens to; those of a bandit are hundreds, and stand in the table.
_TOLD = 8
# 15: labels below each other.
_APART = 15.0


class Kind(Enum):
    """What a mark is of; each has a lane of its own."""

    RELEASE = "deploys"
    DECISION = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The weights of the branches, until the next ones."""

    at: float
    """Milliseconds since 1970."""
    weights: tuple[float, ...]
    """From 0 to 1, in the order of the branches' names."""


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
    names: Sequence[str],
    steps: Sequence[Step],
    marks: Sequence[Mark],
    until: float,
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
) -> str:
    """Return the weights of the branches until a time, with the marks of releases and decisions."""
    steps = sorted((step for step in steps if _is_sound(step, names)), key=_at)
    marks = sorted((mark for mark in marks if math.isfinite(mark.at)), key=_at)
    if not steps:
        return nothing("ramp", title, "No weight was given yet.", width)
    lanes = [kind for kind in Kind if any(mark.kind is kind for mark in marks)]
    below = _GAP + _LANE * len(lanes) if lanes else 0.0
    height = max(150.0 if width <= NARROW else 170.0, _APART * len(names) + 60.0) + below
    now = [f"{name} {axis_percent(weight)}" for name, weight in zip(names, steps[-1].weights, strict=True)]
    frame = Frame.within(width, height - below, names=min(max(map(text_width, now)) + 12, width / 3))
    across = moments([step.at for step in steps] + [mark.at for mark in marks] + [until], frame.left, frame.right)
    up = Scale(low=0.0, high=1.0, start=frame.bottom, end=frame.top)
    parts = frame.grid(up, axis_percent)
    for step, end in zip(steps, [after.at for after in steps[1:]] + [across.high], strict=True):
        parts.append(_column(step, end, names, across, up, wall_time(step.at, zone, "%d %b %H:%M")))
    parts += [path(_edge(steps, place, across, up), f"line s{place % 6} solid") for place in range(len(names))]
    edges = [0.0, *accumulate(steps[-1].weights)]
    middles = [up.place((low + high) / 2) + 4 for low, high in pairwise(edges)]
    for place, (text, y) in enumerate(zip(now, apart(middles, _APART, frame.top + 4, frame.bottom + 4), strict=True)):
        parts.append(label(frame.right + 6, y, cut(text, width - frame.right - 6), f"label strong s{place % 6}"))
    for number, kind in enumerate(lanes):
        y = height - 26 - _LANE * (len(lanes) - number) + 16
        parts += _lane([mark for mark in marks if mark.kind is kind], across, y, zone, frame)
    axis = Frame(left=frame.left, right=frame.right, top=frame.top, bottom=height - 26)
    parts += axis.times(across, zone)
    weights = "; ".join(f"{name} {_told([step.weights[place] for step in steps])}" for place, name in enumerate(names))
    told = "; ".join(f"{wall_time(mark.at, zone, '%d %b %H:%M')} {mark.text}" for mark in marks)
    return picture("ramp", title, f"Weights: {weights}. {told or 'Nothing else happened'}.", width, height, *parts)


def _told(weights: Sequence[float]) -> str:
    """Return how a weight went, in words; of many steps the first and the last ones."""
    texts = [axis_percent(weight) for weight in weights]
    return " → ".join(texts if len(texts) <= _TOLD else [*texts[:2], "…", *texts[-2:]])


def _is_sound(step: Step, names: Sequence[str]) -> bool:
    return math.isfinite(step.at) and len(step.weights) == len(names) > 0 and all(map(math.isfinite, step.weights))


def _at(what: Step | Mark) -> float:
    return what.at


def _column(step: Step, end: float, names: Sequence[str], across: Scale, up: Scale, when: str) -> str:
    """Return what lies between two steps; a pointer anywhere on it is told all weights."""
    x1, x2 = across.place(step.at), across.place(end)
    edges = [0.0, *accumulate(step.weights)]
    told = ", ".join(f"{name} {axis_percent(weight)}" for name, weight in zip(names, step.weights, strict=True))
    pieces = [
        box(x1, up.place(high), x2 - x1, up.place(low) - up.place(high), f"area s{place % 6}")
        for place, (low, high) in enumerate(pairwise(edges))
    ]
    return said(f"{when}: {told}", *pieces)


def _edge(steps: Sequence[Step], place: int, across: Scale, up: Scale) -> list[tuple[float, float]]:
    """Return the upper edge of a branch."""
    heights = [up.place(math.fsum(step.weights[: place + 1])) for step in steps]
    points = [(across.place(steps[0].at), heights[0])]
    for step, (before, after) in zip(steps[1:], pairwise(heights), strict=True):
        x = across.place(step.at)
        points += [(x, before), (x, after)]
    return [*points, (across.end, heights[-1])]


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
            said(f"{wall_time(mark.at, zone, '%d %b %H:%M')}: {mark.text}", *told, kind="tone-bad" if mark.harm else "")
        )
    return parts


def _shape(mark: Mark, x: float, y: float) -> str:
    if mark.harm:
        return path([(x - 5, y - 5), (x + 5, y + 5)], "cross") + path([(x - 5, y + 5), (x + 5, y - 5)], "cross")
    if mark.kind is Kind.RELEASE:
        return path([(x, y - 6), (x + 6, y + 5), (x - 6, y + 5)], "mark", closed=True)
    return path([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], "mark", closed=True)
