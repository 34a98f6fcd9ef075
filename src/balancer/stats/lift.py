"""The relative lift: by which part of the control's mean the treatment differs, for display.

Invariants:
    * Nothing is decided on it: of skewed revenue more A/A tests alarm by it than by the difference, and more than 5 %.
    * Its multiplier is that of the sequence, so it may be looked at as often as the difference.
    * The lift of the treatment on the control and that of the control on the treatment are reciprocal.
    * Where a mean is not above 0, or so near that no number holds the interval, there is no lift.

It comes from the logarithm of the ratio of the two means, which is nearer to normal than the ratio and keeps the
interval above −100 %. The report shows it beside the difference of `compare`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from balancer.stats.arm import Inconclusive, Reason
from balancer.stats.compare import Stratum, pool
from balancer.stats.sequential import ConfidenceSequence

# e^700 is near the largest float; an interval up to there says nothing.
_LARGEST = 700


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The treatment's mean relative to the control's, as a part of 1: 0.05 is 5 % more."""

    lift: float
    low: float
    """Above −1."""
    high: float
    alpha: float
    """The chance that the true lift lies outside at any look."""

    def __post_init__(self) -> None:
        if not -1 <= self.low <= self.lift <= self.high:
            raise ValueError(f"{self.lift} in {self.low} … {self.high}: no lift")


def lift(strata: Iterable[Stratum], *, alpha: float, expected_visitors: int) -> Lift | Inconclusive:
    """Return the relative lift over the phases that `compare` keeps, with its always-valid interval.

    The means of both arms are put together by the phases' sizes, ȳ = Σ (n_e/n) ȳ_e, as those of the difference are, so
    that lift × control mean is the difference. Of ln(ȳ_T/ȳ_C) the standard error is
    SE² = SE²(ȳ_T)/ȳ_T² + SE²(ȳ_C)/ȳ_C², for one phase s²_T/(ȳ_T² n_T) + s²_C/(ȳ_C² n_C).

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    found = pool(strata)
    if isinstance(found, Inconclusive):
        return found
    control, treatment = found.control_mean, found.treatment_mean
    if min(control, treatment) <= 0:
        return Inconclusive(reason=Reason.NOT_POSITIVE)
    logarithm = math.log(treatment) - math.log(control)
    se = math.hypot(math.sqrt(found.control_se2) / control, math.sqrt(found.treatment_se2) / treatment)
    half = ConfidenceSequence(alpha=alpha, expected_visitors=expected_visitors).half_width(se, found.visitors)
    if logarithm + half > _LARGEST:
        return Inconclusive(reason=Reason.NOT_POSITIVE)
    return Lift(
        lift=math.expm1(logarithm), low=math.expm1(logarithm - half), high=math.expm1(logarithm + half), alpha=alpha
    )
