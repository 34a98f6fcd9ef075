"""Corrections for many metrics at once: the secondary ones of a report, for display.

Invariants:
    * An adjusted p is at least the p it comes from, and at most 1.
    * The order of the metrics does not matter, and that of their p is kept.

One primary metric decides, at its own p; these decide nothing.
"""

import math
from collections.abc import Sequence


def benjamini_hochberg(ps: Sequence[float]) -> tuple[float, ...]:
    """Return the adjusted p of each of `ps`, in their order: min over larger p of p m / rank.

    Taking for shown what is at most q keeps the expected part of false ones among them at q, for metrics that are
    independent or rise together (Benjamini & Hochberg 1995; Yekutieli & Benjamini 1999 for the adjusted p).

    Raises ValueError where a p does not lie from 0 to 1.
    """
    if any(not 0 <= p <= 1 for p in ps):
        raise ValueError(f"each p of {list(ps)} has to lie from 0 to 1")
    adjusted, least = [math.nan] * len(ps), 1.0
    for rank, place in sorted(enumerate(sorted(range(len(ps)), key=lambda place: ps[place]), start=1), reverse=True):
        least = min(least, ps[place] * len(ps) / rank)
        # A quotient may round to below p where rank is m.
        adjusted[place] = max(least, ps[place])
    return tuple(adjusted)
