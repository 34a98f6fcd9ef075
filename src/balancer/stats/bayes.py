"""The Bayesian display: how likely a variant is the better one, and what choosing it would cost if it is not.

Invariants:
    * Nothing is decided on it: "chance to win above 95 %", looked at every day, is wrong in a third of A/A tests.
    * No randomness: the same figures give the same chances.
    * The chances of all variants to be best add up to 1.

The prior is flat and the likelihood normal, so the posterior of a difference is normal about the estimate with its
standard error, and that of each arm's mean about its mean. Where lower is better the caller turns the signs.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
# From −8 to 8 standard errors in steps of 0.05: beyond is 10⁻¹⁵, and within the chances are right to 10⁻³.
_STEPS = tuple(step / 20 for step in range(-160, 161))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """What a flat prior makes of one difference."""

    to_win: float
    """The probability that the true difference is above 0."""
    expected_loss: float
    """What choosing the treatment costs on average, in the unit of the value: E max(−Δ, 0)."""
    expected_loss_of_control: float
    """What staying with the control costs on average: E max(Δ, 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What a flat prior makes of one arm's mean."""

    mean: float
    se: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.se < math.inf):
            raise ValueError(f"a mean of {self.mean} with a standard error of {self.se}: it has to be above 0")


def chances(difference: float, se: float) -> Chances:
    """Return the chances of a treatment whose difference from the control has the standard error `se`.

    Raises ValueError for a standard error that is not positive.
    """
    found = Posterior(mean=difference, se=se)
    z = found.mean / found.se
    density = found.se * _NORMAL.pdf(z)
    return Chances(
        to_win=_NORMAL.cdf(z),
        expected_loss=max(density - difference * _NORMAL.cdf(-z), 0.0),
        expected_loss_of_control=max(density + difference * _NORMAL.cdf(z), 0.0),
    )


def chances_to_be_best(arms: Sequence[Posterior]) -> tuple[float, ...]:
    """Return for each of `arms`, in their order, how likely its true mean is the highest of all.

    P(i is best) = ∫ Π_{j≠i} F_j dF_i, by trapezoids on the steps of every arm together, so that also an arm far more
    certain than the others falls between none of them. The arms are independent.
    """
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
