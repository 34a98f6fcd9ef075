"""One arm: the visitors of a variant, and the interval of their mean.

A rate, a mean, a ratio of two sums and a mean adjusted by what was known before (CUPED) are all the same here: one
number a visitor, whose mean is the figure. For a ratio that number is its linear part (the delta method).

Invariants:
    * An interval holds at every look at once: its mean lies outside with probability alpha at most.
    * Where the data cannot carry an interval the answer is `Inconclusive` with the reason, and no number.
    * The interval of a rate stays within 0 and 1.

`compare` compares two of them, the report shows each.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from balancer.stats.comoments import CoMoments
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
    FEW_MATURE = "too few visitors are mature yet"
    FEW_CONVERSIONS = "too few visitors converted"
    FEW_WITHOUT = "too few visitors did not convert"
    NO_SPREAD = "every visitor gave the same value"
    NO_DENOMINATOR = "there is nothing to divide by in an arm"
    NOT_POSITIVE = "a mean is not clearly above 0, so nothing is relative to it"
    HIDDEN = "hidden until the day that was declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """There is nothing to say yet."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The visitors of one variant: one number each, zeros included."""

    moments: Moments
    conversions: int
    """Visitors whose number is not 0; of a ratio, those with something to divide by."""
    lacks: Reason | None = None
    """Why its visitors have no such number, and the moments are those of none."""

    def __post_init__(self) -> None:
        if not 0 <= self.conversions <= self.moments.n:
            raise ValueError(f"{self.conversions} of {self.moments.n} visitors cannot have converted")
        if self.lacks and self.moments.n:
            raise ValueError(f"{self.moments.n} visitors have moments, although {self.lacks.value}")

    @classmethod
    def of_rate(cls, converted: int, visitors: int) -> Self:
        """Return the arm whose visitors give 1 where they converted and 0 where not. Raises ValueError."""
        return cls(moments=Moments.of_proportion(converted, visitors), conversions=converted)

    @classmethod
    def of_values(cls, moments: Moments, conversions: int) -> Self:
        """Return the arm whose visitors gave the values of `moments`, of which `conversions` are not 0.

        Raises ValueError.
        """
        return cls(moments=moments, conversions=conversions)

    @classmethod
    def of_ratio(cls, comoments: CoMoments, conversions: int) -> Self:
        """Return the arm whose mean is the ratio R of two sums, Σ y / Σ x, by the delta method.

        A visitor gives R + (y − R x) / x̄, so that the mean is R and its squared standard error
        (s²_y − 2 R s_xy + R² s²_x) / (x̄² n). `conversions` are the visitors whose x is not 0: with few of them x̄ is
        too uncertain to divide by. Where x̄ is not above 0, the arm lacks a denominator.

        Raises ValueError.
        """
        if comoments.mean_x <= 0:
            return cls(moments=Moments.empty(), conversions=0, lacks=Reason.NO_DENOMINATOR)
        ratio = comoments.mean_y / comoments.mean_x
        m2 = _m2_less(comoments, ratio) / (comoments.mean_x * comoments.mean_x)
        return cls(moments=Moments(n=comoments.n, mean=ratio, m2=m2), conversions=conversions)

    @classmethod
    def of_adjusted(cls, comoments: CoMoments, conversions: int, theta: float, grand_mean_x: float) -> Self:
        """Return the arm whose visitors give y − θ (x − `grand_mean_x`), x known before the assignment (CUPED).

        `theta` is `cuped_theta` and `grand_mean_x` the mean of x over all arms: the same for every arm that is
        compared. `conversions` are the visitors whose y is not 0. Raises ValueError.
        """
        mean = comoments.mean_y - theta * (comoments.mean_x - grand_mean_x)
        return cls(
            moments=Moments(n=comoments.n, mean=mean if comoments.n else 0.0, m2=_m2_less(comoments, theta)),
            conversions=conversions,
        )

    @property
    def n(self) -> int:
        """The visitors."""
        return self.moments.n

    @property
    def mean(self) -> float:
        """The figure itself, in its own unit; 0 without visitors."""
        return self.moments.mean

    @property
    def se2(self) -> float:
        """The squared standard error of the mean. Raises ValueError below two visitors."""
        variance = self.moments.variance
        if variance is None:
            raise ValueError(f"{self.n} visitors have no standard error")
        return variance / self.n


def cuped_theta(strata: Iterable[Iterable[CoMoments]]) -> float:
    """Return θ, how much of x to take off y: Σ C_xy / Σ M2_x over all arms of all `strata`; 0 where x does not vary.

    Each arm is taken about its own mean, so that a difference between arms or phases is not taken for a slope.
    Source: Deng, Xu, Kohavi & Walker, "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data", WSDM 2013.
    """
    arms = tuple(arm for stratum in strata for arm in stratum)
    m2_x = math.fsum(arm.m2_x for arm in arms)
    return math.fsum(arm.c_xy for arm in arms) / m2_x if m2_x else 0.0


def _m2_less(comoments: CoMoments, slope: float) -> float:
    """Return Σ (e − ē)² of e = y − `slope` x; rounding alone could make it negative."""
    return max(comoments.m2_y - 2 * slope * comoments.c_xy + slope * slope * comoments.m2_x, 0.0)


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
    n, mean = arm.n, arm.mean
    if arm.lacks:
        return Inconclusive(reason=arm.lacks)
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
