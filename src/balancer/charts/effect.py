"""The effect over time: a difference at each look, in the band that holds at all of them.

Invariants:
    * A look that could not say anything is a gap, never a guess between its neighbours.
    * The band is drawn as far as the axis goes: early ones, far too wide, do not press the rest flat.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from balancer.charts.dates import Grain, whole_days
from balancer.charts.frame import Frame, height_of
from balancer.charts.numbers import Written, axis_signed, signed
from balancer.charts.scale import Scale, linear, moments, wall, wall_time
from balancer.charts.svg import WIDE, element, label, line, nothing, path, picture, said, text_width
from balancer.charts.tone import Tone

# 4: of a band that halves with four times the visitors, the last fifteen sixteenths are seen whole.
_BANDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A difference at one time."""

    at: float
    """Milliseconds since 1970."""
    difference: float | None
    """None where the look could not say."""
    low: float = -math.inf
    high: float = math.inf


def effect(
    title: str,
    looks: Sequence[Look],
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
    by_day: bool = False,
    decided: float | None = None,
    tone: Tone = Tone.OPEN,
    written: Written = signed,
    axis: Written = axis_signed,
) -> str:
    """Return a difference over time; `by_day`: of each day, at its middle. `decided` is when a look was decided on."""
    known = sorted((each for each in looks if _is_known(each)), key=lambda each: each.at)
    if not known:
        return nothing("effect", title, "No look could compare the variants yet.", width)
    last, height = known[-1], height_of(width)
    assert last.difference is not None
    name = written(last.difference)
    frame = Frame.within(width, height, names=text_width(name) + 12)
    times = [each.at for each in known]
    across = whole_days(times, frame.left, frame.right, zone) if by_day else moments(times, frame.left, frame.right)
    up = _scale(known, frame)
    parts = frame.grid(up, axis) + frame.times(across, zone, Grain.DAY if by_day else None)
    parts.append(label(frame.left, 9, "more than the control ↑", "tick"))
    for run in _runs(looks):
        parts += _run(run, across, up)
    for each in known:
        when = wall_time(each.at, zone, "%d %b" if by_day else "%d %b %H:%M")
        parts.append(_point(each, across, up, f"{when}: {_text(each, written)}"))
    if decided is not None and across.holds(decided):
        x = across.place(decided)
        parts.append(line(x, frame.top, x, frame.bottom, "decided"))
        anchor = "end" if x > (frame.left + frame.right) / 2 else "start"
        parts.append(label(x + (-5 if anchor == "end" else 5), frame.bottom - 6, "decided", "tick", anchor))
    parts.append(
        label(frame.right + 8, up.place(last.difference) + 4, name, f"label strong tone-{tone.value}"),
    )
    of = "days" if by_day else "looks"
    span = f"{len(known)} {of}, from {wall(known[0].at, zone):%d %b} to {wall(last.at, zone):%d %b %Y}"
    first = f"At first {_text(known[0], written)}; at last" if len(known) > 1 else "It is"
    result = f"{span if len(known) > 1 else f'One {of[:-1]}'}. {first} {_text(last, written)}, {tone.word}."
    return picture("effect", title, result, width, height, *parts)


def _is_known(look: Look) -> bool:
    return look.difference is not None and math.isfinite(look.difference) and math.isfinite(look.at)


def _text(look: Look, written: Written) -> str:
    assert look.difference is not None
    return f"{written(look.difference)} [{written(look.low)} to {written(look.high)}]"


def _scale(known: Sequence[Look], frame: Frame) -> Scale:
    last = known[-1]
    half = max((abs(end - (last.difference or 0)) for end in (last.low, last.high) if math.isfinite(end)), default=0)
    values: list[float] = []
    for each in known:
        assert each.difference is not None
        near = (max(each.low, each.difference - _BANDS * half), min(each.high, each.difference + _BANDS * half))
        values += [each.difference, *(near if half else ())]
    return linear(values, frame.bottom, frame.top, about=frame.rows, zero=True)


def _runs(looks: Sequence[Look]) -> list[list[Look]]:
    runs: list[list[Look]] = [[]]
    for each in sorted((each for each in looks if not math.isnan(each.at)), key=lambda each: each.at):
        if _is_known(each):
            runs[-1].append(each)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _run(run: Sequence[Look], across: Scale, up: Scale) -> list[str]:
    upper = [(across.place(each.at), up.place(_end(each.high, up.high))) for each in run]
    lower = [(across.place(each.at), up.place(_end(each.low, up.low))) for each in run]
    middle = [(across.place(each.at), up.place(each.difference or 0.0)) for each in run]
    if len(run) == 1:
        return [line(upper[0][0], upper[0][1], lower[0][0], lower[0][1], "interval")]
    return [
        path([*upper, *reversed(lower)], "band", closed=True),
        path(upper, "band-edge"),
        path(lower, "band-edge"),
        path(middle, "line"),
    ]


def _end(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _point(look: Look, across: Scale, up: Scale, text: str) -> str:
    x, y = across.place(look.at), up.place(look.difference or 0.0)
    kind = "dot" if look.low > 0 or look.high < 0 else "ring"
    return said(text, element("circle", class_=kind, cx=x, cy=y, r=3))
