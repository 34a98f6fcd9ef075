"""The forest plot: each variant less the control, with its interval.

Invariants:
    * A row has the tone that it was given, and no other: whoever decides says what is shown.
    * An interval that does not fit ends in an arrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from balancer.charts.numbers import Written, axis_signed, signed
from balancer.charts.scale import Scale, Tick, finite, linear, ticks
from balancer.charts.svg import NARROW, cut, element, label, line, nothing, path, picture, said, text_width
from balancer.charts.tone import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One difference."""

    name: str
    difference: float | None
    """None where there is none yet; then `note` says why."""
    low: float = -math.inf
    high: float = math.inf
    tone: Tone = Tone.OPEN
    note: str = ""
    """What stands beside it in the place of the figures."""


def forest(
    title: str,
    rows: Sequence[Row],
    width: int,
    *,
    control: str = "the control",
    written: Written = signed,
    axis: Written = axis_signed,
) -> str:
    """Return the differences to `control` beside each other."""
    if not rows:
        return nothing("forest", title, "There is no variant to compare yet.", width)
    narrow = width <= NARROW
    texts = [_text(row, written) for row in rows]
    names = 0.0 if narrow else min(max(text_width(row.name) for row in rows) + 16, 160.0)
    figures = 0.0 if narrow else min(max(map(text_width, texts)) + 16, 280.0)
    each, top = (52.0, 20.0) if narrow else (34.0, 20.0)
    bottom = top + each * len(rows)
    scale = _scale(rows, names + 16, width - figures - 16)
    zero = scale.place(0)
    # On a phone the words of a row stand across the plot: lines are broken there.
    spans = [(top + each * number + 26, top + each * (number + 1)) for number in range(len(rows))]
    spans = spans if narrow else [(top, bottom)]
    parts = [line(x, y1, x, y2, "grid") for x in [scale.place(t.at) for t in _ticks(scale, axis)] for y1, y2 in spans]
    parts += [line(zero, y1 - (0 if narrow else 4), zero, y2, "zero") for y1, y2 in spans]
    parts.append(label(zero, 11, cut(control, width / 2), "tick", "middle"))
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        y = top + each * number + (36 if narrow else each / 2)
        if narrow:
            parts.append(label(0, y - 18, cut(f"{row.name}: {text}", width), f"label tone-{row.tone.value}"))
        else:
            parts.append(label(0, y + 4, cut(row.name, names), "label strong"))
            parts.append(label(width, y + 4, cut(text, figures), f"label tone-{row.tone.value}", "end"))
        parts.append(said(f"{row.name}: {text}", *_mark(row, scale, y), kind=f"tone-{row.tone.value}"))
    parts += [label(scale.place(tick.at), bottom + 16, tick.text, "tick", "middle") for tick in _ticks(scale, axis)]
    result = "; ".join(f"{row.name}: {text}" for row, text in zip(rows, texts, strict=True))
    return picture("forest", title, f"Less {control}. {result}.", width, bottom + 24, *parts)


def _text(row: Row, written: Written) -> str:
    if row.difference is None or not math.isfinite(row.difference):
        return row.note or "no difference yet"
    text = f"{written(row.difference)} [{written(row.low)} to {written(row.high)}]"
    return f"{text} {row.note or row.tone.word}" if row.note or row.tone is not Tone.OPEN else text


def _ticks(scale: Scale, axis: Written) -> tuple[Tick, ...]:
    return ticks(scale, max(int((scale.end - scale.start) / 64), 2), axis)


def _scale(rows: Sequence[Row], start: float, end: float) -> Scale:
    """Return an axis for the estimates and 0; an interval more than 6 times as wide as the narrowest is cut off."""
    shown = [row for row in rows if row.difference is not None and math.isfinite(row.difference)]
    reach = min((half for row in shown for half in finite([_half(row)]) if half > 0), default=math.inf)
    values = [row.difference for row in shown if row.difference is not None]
    for row in shown:
        assert row.difference is not None
        values += finite([max(row.low, row.difference - 6 * reach), min(row.high, row.difference + 6 * reach)])
    return linear(values, start, end, about=4, zero=True)


def _half(row: Row) -> float:
    return (row.high - row.low) / 2


def _mark(row: Row, scale: Scale, y: float) -> list[str]:
    """Return the interval and its middle: filled where it leaves 0 out, a ring where it does not."""
    if row.difference is None or not math.isfinite(row.difference):
        return [line(scale.start, y, scale.end, y, "absent")]
    low, high = (end if not math.isnan(end) else row.difference for end in (row.low, row.high))
    x1, x2, x = scale.place(low), scale.place(high), scale.place(row.difference)
    parts = [line(x1, y, x2, y, "interval")]
    for end, at, way in ((low, x1, 1), (high, x2, -1)):
        if scale.holds(end):
            parts.append(line(at, y - 5, at, y + 5, "interval"))
        else:
            parts.append(path([(at + 7 * way, y - 5), (at, y), (at + 7 * way, y + 5)], "interval open-end"))
    if row.tone is Tone.OPEN:
        parts.append(element("circle", class_="ring", cx=x, cy=y, r=5))
    else:
        parts.append(path([(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)], "point", closed=True))
    return parts
