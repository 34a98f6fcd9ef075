"""The distribution of a value: which part of a variant's visitors gave how much, a panel for each variant."""

from collections.abc import Sequence

from balancer.charts.frame import Frame
from balancer.charts.numbers import axis_percent, short
from balancer.charts.panels import Panel, height_of, panel_parts
from balancer.charts.scale import finite, linear, ticks
from balancer.charts.svg import WIDE, label, line, nothing, picture


def histogram(title: str, panels: Sequence[Panel], width: int = WIDE) -> str:
    """Return the part of the visitors in each bin; columns go from and to a value, and are as high as their part."""
    if not any(finite(column.height for column in panel.columns) for panel in panels):
        return nothing("histogram", title, "No visitor has given a value yet.", width)
    height = height_of(panels)
    frame = Frame.within(width, height)
    ends = [end for panel in panels for column in panel.columns for end in (column.start, column.end)]
    across = linear(ends, frame.left, frame.right, about=frame.columns)
    parts = list(panel_parts(panels, across, width, axis_percent))
    for tick in ticks(across, frame.columns):
        x = across.place(tick.at)
        parts += [line(x, frame.bottom, x, frame.bottom + 4, "axis")]
        parts += [label(x, frame.bottom + 18, short(tick.at), "tick", "middle")]
    told = "; ".join(f"{panel.name}: {panel.note or 'nothing'}" for panel in panels)
    return picture("histogram", title, f"{told}.", width, height, *parts)
