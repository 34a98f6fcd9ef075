"""Bars over time: a figure of each hour, day, week or month, a panel for each branch."""

from collections.abc import Sequence
from datetime import UTC, tzinfo

from balancer.charts.dates import Grain
from balancer.charts.frame import Frame
from balancer.charts.numbers import Written, count, short
from balancer.charts.panels import Panel, height_of, panel_parts
from balancer.charts.scale import finite, moments
from balancer.charts.svg import WIDE, nothing, picture


def bars(
    title: str,
    panels: Sequence[Panel],
    width: int = WIDE,
    *,
    zone: tzinfo = UTC,
    grain: Grain | None = None,
    written: Written = count,
    axis: Written = short,
) -> str:
    """Return the figures of each time, each as long as `grain`; columns go from and to milliseconds since 1970."""
    known = [finite(column.height for column in panel.columns) for panel in panels]
    if not any(known):
        return nothing("bars", title, "Nothing happened in this time.", width)
    height = height_of(panels)
    frame = Frame.within(width, height)
    ends = [end for panel in panels for column in panel.columns for end in (column.start, column.end)]
    across = moments(ends, frame.left, frame.right)
    parts = [*panel_parts(panels, across, width, axis), *frame.times(across, zone, grain)]
    told = "; ".join(
        f"{panel.name} up to {written(max(heights))}" if heights else f"{panel.name} nothing"
        for panel, heights in zip(panels, known, strict=True)
    )
    return picture("bars", title, f"{told}.", width, height, *parts)
