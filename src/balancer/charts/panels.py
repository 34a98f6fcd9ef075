"""Columns in panels: a panel for each variant below the other, on the same axes, so that they can be compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.charts.numbers import Written, short
from balancer.charts.scale import Scale, finite, linear, ticks
from balancer.charts.svg import TICK_PIXELS, box, cut, label, line, said, text_width

_TOP = 26.0
_HEIGHT = 62.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column from `start` to `end` of the lower axis."""

    start: float
    end: float
    height: float
    text: str
    """What a pointer is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The columns of one variant."""

    name: str
    columns: tuple[Column, ...]
    note: str = ""
    """A result, beside the name."""


def height_of(panels: Sequence[Panel]) -> float:
    """Return how high the panels are together, with 26 pixels for their lower axis."""
    return (_TOP + _HEIGHT) * len(panels) + 26.0


def panel_parts(panels: Sequence[Panel], across: Scale, width: float, written: Written = short) -> Iterator[str]:
    """Give the panels with the grid of their left axes."""
    heights = finite(column.height for panel in panels for column in panel.columns)
    for number, panel in enumerate(panels):
        top = (_TOP + _HEIGHT) * number + _TOP
        up = linear(heights, top + _HEIGHT, top, about=2, zero=True)
        for tick in ticks(up, 2, written):
            y = up.place(tick.at)
            yield line(across.start, y, across.end, y, "zero" if tick.at == 0 else "grid")
            yield label(across.start - 6, y + 4, tick.text, "tick", "end")
        yield label(across.start, top - 9, cut(panel.name, width / 3), f"label strong s{number % 6}")
        if panel.note:
            yield label(
                across.end,
                top - 9,
                cut(panel.note, across.end - across.start - text_width(cut(panel.name, width / 3)) - 8, TICK_PIXELS),
                "tick",
                "end",
            )
        for column in panel.columns:
            yield from _column(column, across, up, number)


def _column(column: Column, across: Scale, up: Scale, number: int) -> Iterator[str]:
    if (
        len(finite([column.height, column.start, column.end])) < 3
        or column.end < across.low
        or column.start > across.high
    ):
        return
    x1, x2 = across.place(column.start), across.place(column.end)
    # A tenth on each side is air; of hundreds of columns none is left, and they make one shape.
    air = min((x2 - x1) * 0.1, 2.0) if x2 - x1 > 2.5 else 0.0
    y = up.place(column.height)
    bar = box(x1 + air, min(y, up.place(0)), x2 - x1 - 2 * air, abs(up.place(0) - y), f"area s{number % 6}")
    yield said(column.text, bar)
