"""The sparkline: how a figure went, as small as a word."""

import math
from collections.abc import Sequence

from balancer.charts.numbers import Written, plain
from balancer.charts.scale import linear
from balancer.charts.svg import element, path, picture

_WIDTH, _HEIGHT = 120, 28


def sparkline(title: str, values: Sequence[float | None], *, written: Written = plain, kind: str = "s0") -> str:
    """Return the values in their order, from 0 up; where one is lacking the line has a gap."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return picture("sparkline", title, "nothing yet", _WIDTH, _HEIGHT, path([(0, 26), (_WIDTH, 26)], "absent"))
    step = (_WIDTH - 8) / max(len(values) - 1, 1)
    up = linear(known, _HEIGHT - 3, 4, zero=True)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append((3 + number * step, up.place(value)))
    parts = [path(run if len(run) > 1 else [*run, *run], f"line {kind}") for run in runs if run]
    last = next(run[-1] for run in reversed(runs) if run)
    parts.append(element("circle", class_=f"dot {kind}", cx=last[0], cy=last[1], r=2.5))
    result = f"{written(known[-1])} at last; from {written(min(known))} to {written(max(known))}"
    return picture("sparkline", title, result, _WIDTH, _HEIGHT, *parts)
