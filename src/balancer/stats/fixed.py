"""The fixed-horizon comparison: one look, on a day declared before the split starts.

Invariants:
    * Before that day there is no result: who sees it earlier has looked twice.
    * Phases and gates are those of `compare`; only the multiplier of the standard error is another.
    * The interval excludes 0 exactly where p is at most alpha.

It is narrower than the always-valid one, and wrong one time in twenty at its one look; looked at every day it would be
wrong far more often. Unpooled variances: Welch's test for means and the z-test for rates. The normal distribution
stands for Student's, because an arm has 100 visitors at least; scipy, which has Student's, would cost a process 28 MB.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from balancer.stats.arm import Inconclusive, Reason
from balancer.stats.compare import Stratum, pool

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedComparison:
    """The treatment less the control at one look, in the unit of the value."""

    difference: float
    se: float
    control_mean: float
    """The control's, put together by the phases' sizes as the difference is."""
    low: float
    high: float
    p: float
    """Two-sided, for this one look."""
    alpha: float
    """The chance of a false alarm that this comparison was given."""
    visitors: int
    """Those of both arms in the phases used."""
    used: tuple[int, ...]
    """The phases in the estimate."""
    left_out: tuple[int, ...]
    """The phases with too little in an arm."""

    def __post_init__(self) -> None:
        if not (self.low <= self.difference <= self.high and 0 <= self.p <= 1):
            raise ValueError(f"{self.difference} in {self.low} … {self.high}, p {self.p}: no comparison")


def compare_fixed(strata: Iterable[Stratum], *, alpha: float) -> FixedComparison | Inconclusive:
    """Return the post-stratified difference with its interval for one look.

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie between 0 and 1")
    found = pool(strata)
    if isinstance(found, Inconclusive):
        return found
    difference, se = found.difference, found.se
    half = critical_value(alpha) * se
    return FixedComparison(
        difference=difference,
        se=se,
        control_mean=found.control_mean,
        low=difference - half,
        high=difference + half,
        p=two_sided_p(difference / se),
        alpha=alpha,
        visitors=found.visitors,
        used=found.used,
        left_out=found.left_out,
    )


def compare_at_horizon(
    strata: Iterable[Stratum], *, alpha: float, horizon: int, now: int
) -> FixedComparison | Inconclusive:
    """Return the comparison at the declared time `horizon`; before it, that it is hidden.

    `horizon` and `now` are milliseconds since 1970, UTC. `strata` are to hold what had come by the horizon, whenever
    they are looked at: the look of the day declared is the one, and a later one is another.

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    if now < horizon:
        return Inconclusive(reason=Reason.HIDDEN)
    return compare_fixed(strata, alpha=alpha)


def critical_value(alpha: float) -> float:
    """Return the z that a standard normal number is beyond, on either side, with probability `alpha`."""
    return -_NORMAL.inv_cdf(alpha / 2)


def two_sided_p(z: float) -> float:
    """Return the probability that a standard normal number is at least as far from 0 as `z`."""
    return math.erfc(abs(z) / math.sqrt(2))
