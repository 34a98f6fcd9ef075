"""The fixed-horizon comparison: one look, on a day declared before the split starts.

Invariants:
    * It holds at one look. Before the day there is no result (`Reason.HIDDEN`): who sees it earlier looks twice.
    * Phases and gates are those of `compare`; only the multiplier of the standard error is another.
    * The interval excludes 0 exactly where p is at most alpha.

It is narrower than the always-valid one, and wrong one time in twenty at its one look; looked at every day it would be
wrong far more often. Unpooled variances: Welch's test for means and the z-test for rates. The normal distribution
stands for Student's, because an arm has 100 visitors at least; scipy, which has Student's, would cost a process 28 MB.
"""

import math
from collections.abc import Iterable
from statistics import NormalDist

from balancer.stats.arm import Inconclusive
from balancer.stats.compare import Comparison, Stratum, pool

_NORMAL = NormalDist()


def compare_once(strata: Iterable[Stratum], *, alpha: float) -> Comparison | Inconclusive:
    """Return the post-stratified difference with its interval for one look.

    `strata` are to hold what had come by the day declared, whenever they are looked at. `alpha` is this comparison's
    own, `alpha_each`.

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie between 0 and 1")
    found = pool(strata)
    if isinstance(found, Inconclusive):
        return found
    difference, se = found.difference, found.se
    half = critical_value(alpha) * se
    return Comparison(
        difference=difference,
        se=se,
        control_mean=found.control_mean,
        low=difference - half,
        high=difference + half,
        log_e=None,
        p=two_sided_p(difference / se),
        alpha=alpha,
        visitors=found.visitors,
        used=found.used,
        left_out=found.left_out,
    )


def critical_value(alpha: float) -> float:
    """Return the z that a standard normal number is beyond, on either side, with probability `alpha`."""
    return -_NORMAL.inv_cdf(alpha / 2)


def two_sided_p(z: float) -> float:
    """Return the probability that a standard normal number is at least as far from 0 as `z`."""
    return math.erfc(abs(z) / math.sqrt(2))
