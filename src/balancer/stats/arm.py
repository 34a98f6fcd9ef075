"""One arm: the visitors of a variant, and the interval of their mean.

Invariants:
    * An interval holds at every look at once: its mean lies outside with probability alpha at most.
    * Where the data cannot carry an interval the answer is `Inconclusive` with the reason, and no number.
    * The interval of a rate stays within 0 and 1.

`compare` compares two of them, the report shows each.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Self

from balancer.stats.moments import Moments
from balancer.stats.sequential import ConfidenceSequence

# 100, because the intervals are asymptotic: fewer visitors do not make a normal mean.
VISITORS_AN_ARM = 100
# 25 visitors that converted, and for a rate 25 that did not. Without this a rate of 0.2 % was outside of its
# interval of 95 % at some look in 82 % of runs (hardly any had converted at first); with it in 3 % at most.
CONVERSIONS_FOR_INTERVAL = 25
# A standard error this small beside the mean is the rounding of the mean, not a spread.
ROUNDING = 1e-12


class Reason(Enum):
    """Why there is no interval."""

    FEW_VISITORS = f"fewer than {VISITORS_AN_ARM} visitors in an arm"
    FEW_CONVERSIONS = "too few visitors converted"
    FEW_WITHOUT = "too few visitors did not convert"
    NO_SPREAD = "every visitor gave the same value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """There is nothing to say yet."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The visitors of one variant: one number each, zeros included."""

    moments: Moments
    conversions: int
    """Visitors whose number is not 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.conversions <= self.moments.n:
            raise ValueError(f"{self.conversions} of {self.moments.n} visitors cannot have converted")

    @classmethod
    def of_rate(cls, converted: int, visitors: int) -> Self:
        """Return the arm whose visitors give 1 where they converted and 0 where not. Raises ValueError."""
        return cls(moments=Moments.of_proportion(converted, visitors), conversions=converted)

    @property
    def se2(self) -> float:
        """The squared standard error of the mean. Raises ValueError below two visitors."""
        variance = self.moments.variance
        if variance is None:
            raise ValueError(f"{self.moments.n} visitors have no standard error")
        return variance / self.moments.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The mean of one arm, and where its true value lies, in the unit of the value."""

    mean: float
    low: float
    high: float
    alpha: float
    """The chance that the true value lies outside at any look."""

    def __post_init__(self) -> None:
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"the mean {self.mean} must lie between {self.low} and {self.high}")


def interval(arm: Arm, *, alpha: float, expected_visitors: int) -> Interval | Inconclusive:
    """Return the mean of one arm with its always-valid interval, tuned to N* = `expected_visitors`.

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    n, mean = arm.moments.n, arm.moments.mean
    if n < VISITORS_AN_ARM:
        return Inconclusive(reason=Reason.FEW_VISITORS)
    if arm.conversions < CONVERSIONS_FOR_INTERVAL:
        return Inconclusive(reason=Reason.FEW_CONVERSIONS)
    se = math.sqrt(arm.se2)
    if se <= ROUNDING * abs(mean):
        return Inconclusive(reason=Reason.NO_SPREAD)
    half = ConfidenceSequence(alpha=alpha, expected_visitors=expected_visitors).half_width(se, n)
    return Interval(mean=mean, low=mean - half, high=mean + half, alpha=alpha)


def rate_interval(converted: int, visitors: int, *, alpha: float, expected_visitors: int) -> Interval | Inconclusive:
    """Return the rate `converted` / `visitors` with its always-valid interval, cut at 0 and 1.

    Raises ValueError where `converted` is not from 0 to `visitors`.
    """
    found = interval(Arm.of_rate(converted, visitors), alpha=alpha, expected_visitors=expected_visitors)
    if isinstance(found, Inconclusive):
        return found
    if visitors - converted < CONVERSIONS_FOR_INTERVAL:
        return Inconclusive(reason=Reason.FEW_WITHOUT)
    return Interval(mean=found.mean, low=max(found.low, 0.0), high=min(found.high, 1.0), alpha=alpha)
