"""Sparklines of requests and errors a second: the points of small lines in SVG.

Invariant: a line has at most POINTS points, however long its series is, and the highest value of it is among them.
"""

from dataclasses import dataclass

from balancer.services.rates import KEPT, Rate, Series

POINTS = 50
# Units of the drawing, which is stretched to its place.
WIDTH, HEIGHT = 100.0, 24.0
_LINE = 1.0


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Two lines over the last minutes, the present at the right."""

    requests: str
    """Points, as SVG writes them; empty where there are none yet."""
    errors: str
    """Those of the area below the errors; empty where there were none."""
    most: float
    """The highest rate, requests a second."""


def sparkline(series: Series) -> Sparkline:
    """Return the lines of a series."""
    rates = _thinned(series)
    most = max((rate.requests for rate in rates), default=0.0)
    if not rates:
        return Sparkline("", "", 0.0)
    step = WIDTH / (POINTS - 1)
    places = [(WIDTH - (len(rates) - 1 - at) * step, rate) for at, rate in enumerate(rates)]
    errors = ""
    if series.has_errors:
        ends = (f"{places[0][0]:.1f},{HEIGHT:g}", f"{WIDTH:g},{HEIGHT:g}")
        errors = " ".join((ends[0], *(f"{x:.1f},{_y(rate.errors, most):.1f}" for x, rate in places), ends[1]))
    return Sparkline(" ".join(f"{x:.1f},{_y(rate.requests, most):.1f}" for x, rate in places), errors, most)


def _y(value: float, most: float) -> float:
    return HEIGHT - _LINE - (HEIGHT - 2 * _LINE) * (value / most if most else 0.0)


def _thinned(series: Series) -> list[Rate]:
    """Return one rate for each few of the series, the highest of them; the last few end at the present."""
    each = -(-KEPT // POINTS)
    starts = range(len(series.rates) % each - each if len(series.rates) % each else 0, len(series.rates), each)
    groups = [series.rates[max(start, 0) : start + each] for start in starts]
    return [Rate(max(r.requests for r in group), max(r.errors for r in group)) for group in groups if group]
