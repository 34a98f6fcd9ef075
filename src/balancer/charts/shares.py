"""Shares over time: how the visitors of each day fell to the variants, beside what the weights intended.

Invariants:
    * The shares of a span add up to its visitors; one without visitors is empty, never even.
    * Phases are bands, told apart by their numbers too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import accumulate, pairwise

from balancer.charts.dates import Grain
from balancer.charts.frame import Frame, apart, height_of
from balancer.charts.numbers import axis_percent, count, percent
from balancer.charts.scale import Scale, moments, wall
from balancer.charts.svg import WIDE, box, cut, label, line, nothing, path, picture, said, text_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The visitors of a time, such as a day."""

    start: float
    """Milliseconds since 1970."""
    end: float
    visitors: tuple[int, ...]
    """Of each variant, in the order of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time of constant weights; it lasts until the next one."""

    number: int
    start: float
    intended: tuple[float, ...]
    """The part of each variant, from 0 to 1, in the order of their names."""


def shares(
    title: str,
    names: Sequence[str],
    spans: Sequence[Span],
    phases: Sequence[Phase],
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
) -> str:
    """Return the part of each variant in each span, of a day, stacked from below, with what was intended as lines."""
    spans = [span for span in spans if math.isfinite(span.start) and math.isfinite(span.end)]
    phases = sorted((phase for phase in phases if math.isfinite(phase.start)), key=lambda phase: phase.start)
    totals = [sum(span.visitors[place] for span in spans) for place in range(len(names))]
    if not sum(totals):
        return nothing("shares", title, "No visitor was counted yet.", width)
    height = height_of(width)
    frame = Frame.within(width, height, names=min(max(map(text_width, names)) + 10, width / 4), top=26)
    ends = [span.start for span in spans] + [span.end for span in spans]
    across = moments(ends, frame.left, frame.right)
    up = Scale(low=0.0, high=1.0, start=frame.bottom, end=frame.top)
    parts = _bands(phases, across, frame) + frame.grid(up, axis_percent)
    for span in spans:
        parts += _column(span, names, across, up, f"{wall(span.start, zone):%a %d %b}")
    parts += frame.times(across, zone, Grain.DAY) + _intended(phases, across, up, len(names))
    last = next(span for span in reversed(spans) if sum(span.visitors))
    edges = [0.0, *accumulate(visitors / sum(last.visitors) for visitors in last.visitors)]
    middles = [up.place((low + high) / 2) + 4 for low, high in pairwise(edges)]
    for place, (name, y) in enumerate(zip(names, apart(middles, 15, frame.top + 4, frame.bottom), strict=True)):
        parts.append(label(frame.right + 8, y, cut(name, width - frame.right - 8), f"label strong s{place % 6}"))
    told = ", ".join(
        f"{name} {percent(total / sum(totals))} of {count(sum(totals))}"
        + (f" (now intended {percent(phases[-1].intended[place])})" if phases else "")
        for place, (name, total) in enumerate(zip(names, totals, strict=True))
    )
    result = f"{told}. {len(phases)} phase{'' if len(phases) == 1 else 's'}; the dashed lines are what was intended."
    return picture("shares", title, result, width, height, *parts)


def _bands(phases: Sequence[Phase], across: Scale, frame: Frame) -> list[str]:
    parts, free = [], frame.left
    for phase, until in _with_ends(phases, across):
        x1, x2 = across.place(phase.start), across.place(until)
        parts.append(box(x1, frame.top, x2 - x1, frame.bottom - frame.top, f"phase phase-{phase.number % 2}"))
        parts.append(line(x1, frame.top - 12, x1, frame.bottom, "phase-edge"))
        for text in (f"phase {phase.number}", str(phase.number)):
            if x1 >= free - 1 and text_width(text) + 6 <= max(x2 - x1, 12.0):
                parts.append(label(x1 + 4, frame.top - 6, text, "tick"))
                free = x1 + 4 + text_width(text)
                break
    return parts


def _column(span: Span, names: Sequence[str], across: Scale, up: Scale, when: str) -> list[str]:
    total = sum(span.visitors)
    if not total:
        return []
    x1, x2 = across.place(span.start), across.place(span.end)
    air = min((x2 - x1) * 0.1, 2.0)
    edges = [0.0, *accumulate(visitors / total for visitors in span.visitors)]
    told = ", ".join(f"{name} {count(each)}" for name, each in zip(names, span.visitors, strict=True))
    pieces = [
        box(x1 + air, up.place(high), x2 - x1 - 2 * air, up.place(low) - up.place(high), f"area s{place % 6}")
        for place, (low, high) in enumerate(pairwise(edges))
    ]
    return [said(f"{when}: {told}", *pieces)]


def _intended(phases: Sequence[Phase], across: Scale, up: Scale, variants: int) -> list[str]:
    """Return the edges between the parts that were intended; a step where the weights were changed."""
    parts = []
    for place in range(variants - 1):
        points: list[tuple[float, float]] = []
        for phase, until in _with_ends(phases, across):
            y = up.place(math.fsum(phase.intended[: place + 1]))
            points += [(across.place(phase.start), y), (across.place(until), y)]
        parts += [path(points, "intended"), path(points, "intended-dash")]
    return parts


def _with_ends(phases: Sequence[Phase], across: Scale) -> list[tuple[Phase, float]]:
    ends = [phase.start for phase in phases[1:]] + [across.high] * bool(phases)
    return [(phase, until) for phase, until in zip(phases, ends, strict=True) if until >= across.low]
