"""How figures are written in charts; the same as `balancer stats` writes them."""

import math
from collections.abc import Callable

Written = Callable[[float], str]
"""How a figure of one kind is written."""
_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def percent(value: float) -> str:
    """Return a rate, 0.059 as `5.90%`."""
    return f"{value:.2%}" if math.isfinite(value) and abs(value) < 1e6 else plain(value)


def signed_percent(value: float) -> str:
    """Return a difference of rates, 0.009 as `+0.90%`."""
    return f"{value:+.2%}" if math.isfinite(value) and abs(value) < 1e6 else signed(value)


def plain(value: float) -> str:
    """Return a figure to four digits."""
    return f"{value:.4g}" if math.isfinite(value) else "–"


def signed(value: float) -> str:
    """Return a difference to four digits, with its sign."""
    return f"{value:+.4g}" if math.isfinite(value) else "–"


def count(value: float) -> str:
    """Return how many there are, 12345 as `12,345`."""
    return f"{value:,.0f}" if math.isfinite(value) and abs(value) < 1e15 else plain(value)


def short(value: float) -> str:
    """Return a figure for an axis, 12000 as `12k`."""
    if not math.isfinite(value):
        return "–"
    for step, letter in _STEPS:
        if step <= abs(value) < 1e18:
            return f"{value / step:.4g}{letter}"
    return f"{value:.4g}"


def axis_percent(value: float) -> str:
    """Return a rate for an axis, with no more digits than it has."""
    return f"{value * 100:.4g}%" if math.isfinite(value) else "–"


def axis_signed_percent(value: float) -> str:
    """Return the same with its sign; nothing is written `0`."""
    return f"{value * 100:+.4g}%" if value and math.isfinite(value) else "0"


def axis_signed(value: float) -> str:
    """Return a difference for an axis."""
    return f"{'+' if value > 0 else ''}{short(value)}" if value else "0"
