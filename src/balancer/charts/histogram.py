"""The distribution of a value: which part of a variant's visitors gave how much, a panel for each variant."""

from collections.abc import Sequence

from balancer.charts.frame import Frame
from balancer.charts.numbers import axis_percent
from balancer.charts.panels import Panel, height_of, panel_parts
from balancer.charts.scale import Scale, finite
from balancer.charts.svg import WIDE, label, line, nothing, picture, text_width


def histogram(title: str, panels: Sequence[Panel], names: Sequence[str], width: int = WIDE) -> str:
    """Return the part of the visitors in each bin.

    Bins are as wide as each other: a column goes from its place to the next one, and is as high as its part; `names`
    are where each bin begins.
    """
    if not names or not any(finite(column.height for column in panel.columns) for panel in panels):
        return nothing("histogram", title, "No visitor has given a value yet.", width)
    height = height_of(panels)
    frame = Frame.within(width, height)
    across = Scale(low=0.0, high=float(len(names)), start=frame.left, end=frame.right)
    parts = list(panel_parts(panels, across, width, axis_percent))
    free = -1e9
    for place, name in enumerate(names):
        x, half = across.place(place), text_width(name) / 2
        if x - half < free or x + half > width:
            continue
        free = x + half + 10
        parts += [line(x, frame.bottom, x, frame.bottom + 4, "axis")]
        parts += [label(x, frame.bottom + 18, name, "tick", "middle")]
    told = "; ".join(f"{panel.name}: {panel.note or 'nothing'}" for panel in panels)
    return picture("histogram", title, f"{told}.", width, height, *parts)
