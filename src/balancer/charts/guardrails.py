"""Guardrails over time: the evidence E that the branch does harm, on a logarithmic axis with its limits.

E may be as large as it likes: it is given as its logarithm, and what is above the axis is drawn at its end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from balancer.charts.frame import Frame, apart, height_of
from balancer.charts.numbers import short
from balancer.charts.scale import Scale, logarithmic, moments
from balancer.charts.svg import WIDE, cut, element, label, line, nothing, path, picture, text_width

# Beyond these the axis tells nothing more.
_MOST, _LEAST = 1e9, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a guardrail said at one time."""

    at: float
    """Milliseconds since 1970."""
    log_e: float
    """ln E."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One guardrail, over time."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An E from which on something is done."""

    e: float
    text: str
    """What, in a word or two."""


def guardrails(
    title: str,
    rails: Sequence[Guardrail],
    limits: Sequence[Limit],
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
) -> str:
    """Return the evidence of each guardrail as a line, beside its limits."""
    known = [(rail, points) for rail in rails if (points := _known(rail))]
    if not known:
        return nothing("guardrails", title, "No guardrail has said anything yet.", width)
    height = height_of(width)
    names = [f"{rail.name} {_e(points[-1].log_e)}" for rail, points in known]
    room = min(max(map(text_width, names)) + 14, width * 0.36)
    frame = Frame.within(width, height, names=room)
    across = moments([point.at for _, points in known for point in points], frame.left, frame.right)
    shown = [_held(point.log_e) for _, points in known for point in points]
    most = max([limit.e for limit in limits] + [10.0])
    up = logarithmic([*shown, most * 3], frame.bottom, frame.top, around=(1.0, most * 3))
    parts = frame.grid(up, short) + frame.times(across, zone) + _limits(limits, up, frame)
    for place, (_, points) in enumerate(known):
        places = [(across.place(point.at), up.place(_held(point.log_e))) for point in points]
        parts.append(path(places if len(places) > 1 else places * 2, f"line s{place % 6}"))
        parts.append(element("circle", class_=f"dot s{place % 6}", cx=places[-1][0], cy=places[-1][1], r=3))
    ends = [up.place(_held(points[-1].log_e)) + 4 for _, points in known]
    for place, (name, y) in enumerate(zip(names, apart(ends, 15, frame.top, frame.bottom), strict=True)):
        parts.append(label(frame.right + 8, y, cut(name, room), f"label s{place % 6}"))
    told = "; ".join(
        f"{name} at last, {_e(max(p.log_e for p in points))} at most"
        for name, (_, points) in zip(names, known, strict=True)
    )
    beyond = ", ".join(f"{short(limit.e)} {limit.text}" for limit in limits)
    return picture("guardrails", title, f"E of {told}. Limits: {beyond}.", width, height, *parts)


def _known(rail: Guardrail) -> list[Point]:
    points = (point for point in rail.points if math.isfinite(point.at) and not math.isnan(point.log_e))
    return sorted(points, key=lambda point: point.at)


def _held(log_e: float) -> float:
    return math.exp(min(max(log_e, math.log(_LEAST)), math.log(_MOST)))


def _e(log_e: float) -> str:
    if log_e >= math.log(_MOST):
        return f"over {short(_MOST)}"
    e = math.exp(max(log_e, -50.0))
    return short(float(f"{e:.2g}")) if e >= 1000 else f"{e:.0f}" if e >= 10 else f"{e:.2g}"


def _limits(limits: Sequence[Limit], up: Scale, frame: Frame) -> list[str]:
    parts = []
    for limit in limits:
        y = up.place(limit.e)
        parts.append(line(frame.left, y, frame.right, y, "limit"))
        parts.append(label(frame.left + 4, y - 4, f"{short(limit.e)} {limit.text}", "tick limit-name"))
    return parts
