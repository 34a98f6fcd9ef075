"""The Bayesian display: how likely a variant is the better one, and what choosing it would cost if it is not.

Invariants:
    * Nothing is decided on it: "chance to win above 95 %", looked at every day, is wrong in a third of A/A tests.
    * No randomness: the same figures give the same chances.
    * The chances of all variants to be best add up to 1.

The prior is flat and the likelihood normal, so the posterior of a difference is normal about the estimate with its
standard error, and that of each arm's mean about its mean.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from balancer.stats.compare import Comparison

_NORMAL = NormalDist()
# From −8 to 8 standard errors in steps of 0.05: beyond is 10⁻¹⁵, and within the chances are right to 10⁻³.
_STEPS = tuple(step / 20 for step in range(-160, 161))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What a flat prior makes of one difference."""

    to_win: float
    """The probability that the treatment is truly better."""
    expected_loss: float
    """What choosing the treatment costs on average, in the unit of the value: nothing where it is better, else the
    difference."""
    expected_loss_of_control: float
    """What staying with the control costs on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What a flat prior makes of one arm's mean."""

    mean: float
    se: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.se < math.inf):
            raise ValueError(f"a mean of {self.mean} with a standard error of {self.se}: it has to be above 0")


def chance(comparison: Comparison, *, better_is_higher: bool = True) -> Chance:
    """Return what a difference and its standard error say of the treatment, by themselves."""
    gain, se = comparison.difference if better_is_higher else -comparison.difference, comparison.se
    z = gain / se
    density = se * _NORMAL.pdf(z)
    return Chance(
        to_win=_NORMAL.cdf(z),
        expected_loss=max(density - gain * _NORMAL.cdf(-z), 0.0),
        expected_loss_of_control=max(density + gain * _NORMAL.cdf(z), 0.0),
    )


def chances_to_be_best(arms: Sequence[Posterior]) -> tuple[float, ...]:
    """Return for each of `arms`, in their order, how likely its true mean is the highest of all.

    Where lower is better, give the means with their signs turned.

    P(i is best) = ∫ Π_{j≠i} F_j dF_i, by trapezoids on the steps of every arm together, so that also an arm far more
    certain than the others falls between none of them; of two arms it is Φ of their difference. The arms are
    independent.
    """
    if len(arms) == 2:
        one, other = arms
        first = _NORMAL.cdf((one.mean - other.mean) / math.hypot(one.se, other.se))
        return first, 1 - first
    points = sorted({arm.mean + step * arm.se for arm in arms for step in _STEPS})
    below = [[_NORMAL.cdf((point - arm.mean) / arm.se) for arm in arms] for point in points]
    best = [0.0] * len(arms)
    for left, right in itertools.pairwise(below):
        for place in range(len(arms)):
            others = _product_without(left, place) + _product_without(right, place)
            best[place] += (right[place] - left[place]) * others / 2
    whole = math.fsum(best)
    return tuple(each / whole for each in best)


def _product_without(factors: Sequence[float], place: int) -> float:
    return math.prod(factor for other, factor in enumerate(factors) if other != place)
