"""The shipped tests, at all looks of many splits at once, and the tests that people use instead.

`compared` and `evidence_of_ratio` are the formulas of `balancer.stats.compare` and `.srm` on arrays, their gates
included; test_simulations.py holds them against the shipped ones. The others are companions: a simulation in which
they do not fail would show nothing of ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import chi2, norm

from balancer.stats.arm import ROUNDING, VISITORS_AN_ARM
from balancer.stats.compare import CONVERSIONS_EXPECTED_A_PHASE, CONVERSIONS_IN_ALL, UNEVENNESS_LIMIT
from balancer.stats.sequential import ConfidenceSequence
from simulations.cells import Cells, Counts, Floats

Flags = npt.NDArray[np.bool_]
ALPHA = 0.05
# N* as it is shipped.
EXPECTED_VISITORS = 5000
_PRIOR_VISITORS = 100


class Guard(Enum):
    """What keeps a small arm beside a large one from being judged by what it happens to lack."""

    SHIPPED = "shipped"
    NO_COMMON_VARIANCE = "each arm has its own variance only"
    NONE = "nor is anything asked of the smaller arm but 100 visitors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """One comparison at every look; each array has the shape (runs, looks)."""

    difference: Floats
    se: Floats
    visitors: Floats
    """Those of both arms in the phases kept."""
    half_width: Floats
    log_e: Floats
    judged: Flags
    """False where the answer is `Inconclusive`; the other arrays mean nothing there."""

    def shown(self, alpha: float = ALPHA) -> Flags:
        """Tell at which looks a difference is shown."""
        return self.judged & (self.log_e >= -math.log(alpha))

    def misses(self, truth: float) -> Flags:
        """Tell at which looks the interval leaves out the true difference."""
        return self.judged & (abs(self.difference - truth) > self.half_width)


def compared(
    control: Cells,
    treatment: Cells,
    *,
    alpha: float = ALPHA,
    expected_visitors: int = EXPECTED_VISITORS,
    guard: Guard = Guard.SHIPPED,
) -> Looks:
    """Return `balancer.stats.compare.compare` of each look of each run."""
    visitors = control.n + treatment.n
    conversions = control.conversions + treatment.conversions
    each = conversions / np.maximum(visitors, 1)
    expected = each * control.n, each * treatment.n
    kept = np.minimum(control.n, treatment.n) >= VISITORS_AN_ARM
    if guard is not Guard.NONE:
        kept = kept & (np.minimum(*expected) >= CONVERSIONS_EXPECTED_A_PHASE)
    else:
        kept = np.broadcast_to(kept, each.shape)
    n = np.where(kept, visitors, 0.0).sum(axis=-1)
    weights = np.where(kept, visitors, 0.0) / np.maximum(n, 1)[..., np.newaxis]
    difference = (weights * (treatment.mean - control.mean)).sum(axis=-1)
    se2 = treatment.se2 + control.se2
    if guard is Guard.SHIPPED:
        common = (control.m2 + treatment.m2) / np.maximum(visitors - 2, 1)
        se2 = np.maximum(se2, common * (1 / np.maximum(control.n, 1) + 1 / np.maximum(treatment.n, 1)))
    se = np.sqrt((weights**2 * se2).sum(axis=-1))
    judged = np.where(kept, conversions, 0.0).sum(axis=-1) >= CONVERSIONS_IN_ALL
    judged &= se > ROUNDING * np.where(kept, np.maximum(abs(treatment.mean), abs(control.mean)), 0.0).max(axis=-1)
    if guard is not Guard.NONE:
        ours, theirs = (np.where(kept, arm, 0.0).sum(axis=-1) for arm in expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            judged &= abs(1 / ours - 1 / theirs) <= UNEVENNESS_LIMIT
    scaled = n * ConfidenceSequence(alpha=alpha, expected_visitors=expected_visitors).rho ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        half_width = se * np.sqrt(2 * (scaled + 1) / scaled * (np.log1p(scaled) / 2 - math.log(alpha)))
    log_e = _log_e(difference, se, scaled)
    return Looks(difference=difference, se=se, visitors=n, half_width=half_width, log_e=log_e, judged=judged)


def z_test(control: Cells, treatment: Cells, alpha: float = ALPHA) -> Flags:
    """Tell where the ordinary test shows a difference, all phases thrown together, of the shape (runs, looks)."""
    control, treatment = control.thrown_together, treatment.thrown_together
    se = np.sqrt(control.se2 + treatment.se2)[..., 0]
    enough = np.minimum(control.n, treatment.n)[..., 0] >= VISITORS_AN_ARM
    enough = enough & ((control.conversions + treatment.conversions)[..., 0] >= CONVERSIONS_IN_ALL) & (se > 0)
    beyond: Flags = abs(treatment.mean - control.mean)[..., 0] > norm.ppf(1 - alpha / 2) * se
    return enough & beyond


def sequential_on_the_relative_scale(control: Cells, treatment: Cells) -> Flags:
    """Tell where a confidence sequence on the relative difference shows one, of the shape (runs, looks).

    The difference over the control's mean, its variance by the delta method, the same multiplier: GrowthBook's
    default (packages/stats/gbstats), which divides by the control's mean as if it were known to be above 0. It has
    no gates, but for a spread in both arms.
    """
    control, treatment = control.thrown_together, treatment.thrown_together
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = treatment.mean / control.mean - 1
        variance = treatment.se2 / control.mean**2 + control.se2 * treatment.mean**2 / control.mean**4
    spread = ((control.se2 > 0) & (treatment.se2 > 0))[..., 0]
    scaled = (control.n + treatment.n) * ConfidenceSequence(alpha=ALPHA, expected_visitors=EXPECTED_VISITORS).rho ** 2
    log_e = _log_e(lift[..., 0], np.sqrt(variance[..., 0]), scaled[..., 0])
    return spread & (log_e >= -math.log(ALPHA))


def evidence_of_ratio(visitors: Counts | Floats, shares: Sequence[float]) -> Floats:
    """Return ln E of the sample-ratio test of one phase, of the shape of `visitors` less its last axis.

    `visitors` has the variants along its last axis, `shares` the parts of 1 that the weights intend.
    """
    theta = np.array(shares)
    prior = _PRIOR_VISITORS * theta
    posterior = prior + visitors
    betas = gammaln(posterior).sum(axis=-1) - gammaln(posterior.sum(axis=-1))
    found: Floats = betas - (gammaln(prior).sum() - gammaln(prior.sum())) - (visitors * np.log(theta)).sum(axis=-1)
    return found


def chi_square(visitors: Counts, shares: Sequence[float], alpha: float = ALPHA) -> Flags:
    """Tell where the ordinary test finds the shares wrong, of the shape of `visitors` less its last axis."""
    intended = visitors.sum(axis=-1, keepdims=True) * np.array(shares)
    found: Flags = ((visitors - intended) ** 2 / intended).sum(axis=-1) > chi2.ppf(1 - alpha, len(shares) - 1)
    return found


def _log_e(difference: Floats, se: Floats, scaled: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = np.where(se > 0, (difference / se) ** 2, 0.0)
    found: Floats = z2 * scaled / (2 * (scaled + 1)) - np.log1p(scaled) / 2
    return found
