"""The funnel: how many visitors of each variant reached each step, as parts of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from balancer.charts.numbers import count, percent
from balancer.charts.svg import NARROW, WIDE, box, cut, label, nothing, picture, said, text_width

_BAR, _STEP = 22.0, 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One variant."""

    name: str
    visitors: int
    """All of them."""
    reached: tuple[int, ...]
    """Those who reached each step."""


def funnel(title: str, steps: Sequence[str], lanes: Sequence[Lane], width: int = WIDE) -> str:
    """Return a group of bars for each step, one bar a variant."""
    if not steps or not any(lane.visitors for lane in lanes):
        return nothing("funnel", title, "No visitor was counted yet.", width)
    names = min(max(text_width(lane.name) for lane in lanes) + 12, width / 4)
    figures = text_width("1,234,567 of 1,234,567  100.00%" if width > NARROW else "100.00%") + 10
    room = width - names - figures
    parts, y = [], 0.0
    for number, step in enumerate(steps):
        parts.append(label(0, y + 16, cut(f"{number + 1}. {step}", width), "label strong"))
        y += _STEP
        for place, lane in enumerate(lanes):
            reached = lane.reached[number] if number < len(lane.reached) else 0
            part = min(max(reached / lane.visitors, 0.0), 1.0) if lane.visitors else 0.0
            told = f"{count(reached)} of {count(lane.visitors)}  {percent(part)}" if width > NARROW else percent(part)
            parts.append(label(0, y + 14, cut(lane.name, names), "tick"))
            bar = box(names, y + 3, room * part, 14, f"area s{place % 6}")
            track = box(names, y + 3, room, 14, "track")
            parts.append(said(f"{lane.name}, {step}: {count(reached)} of {count(lane.visitors)}", track, bar))
            parts.append(label(names + room + 8, y + 14, told, "label"))
            y += _BAR
        y += 8
    result = "; ".join(
        f"{lane.name} {' → '.join(count(each) for each in lane.reached)} of {count(lane.visitors)}" for lane in lanes
    )
    return picture("funnel", title, f"{result}.", width, y, *parts)
