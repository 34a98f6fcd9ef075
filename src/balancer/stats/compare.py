"""The comparison of a variant with the control, over the phases of a split.

Invariants:
    * Visitors are compared only with those assigned in the same phase, so a ramp misleads nobody.
    * A comparison has one E, from its difference, standard error and visitors; none is multiplied.
    * Where the data cannot carry an interval the answer is `Inconclusive` with the reason, and no number.
    * Which phases are kept depends on both arms together, never on how conversions fell between them.

The report reads it; the mathematics is that of `sequential`. `pool` puts the phases together, for `lift` and `fixed`
too.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from balancer.stats.arm import ROUNDING, VISITORS_AN_ARM, Arm, Inconclusive, Reason
from balancer.stats.sequential import ConfidenceSequence, p_value

# 50, because the interval is asymptotic: with fewer the difference is not yet normal.
CONVERSIONS_IN_ALL = 50
# The most by which 1/(conversions that an arm should have if nothing differs) may differ between the arms.
# Equal arms pass; beside a far larger control an arm should have 50. At 99 : 1 and a rate of 0.5 % the gate
# above lets an arm be judged on half a conversion: it mostly has none, so no variance, and 54 % of A/A runs
# ended in a false alarm. With this gate and the next, 4 % at most did in simulations of rates.
UNEVENNESS_LIMIT = 1 / 50
# Conversions that the smaller arm should have in each phase, because each phase adds a variance of its own;
# 5 is Cochran's rule for a table of counts.
CONVERSIONS_EXPECTED_A_PHASE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Both arms of one phase, by the phase of the assignment."""

    phase: int
    control: Arm
    treatment: Arm

    @property
    def visitors(self) -> int:
        """Those of both arms."""
        return self.control.n + self.treatment.n

    @property
    def conversions(self) -> int:
        """Those of both arms."""
        return self.control.conversions + self.treatment.conversions

    @property
    def expected(self) -> tuple[float, float]:
        """The conversions that control and treatment should have if they do not differ."""
        each = self.conversions / self.visitors if self.visitors else 0.0
        return each * self.control.n, each * self.treatment.n

    @property
    def difference(self) -> float:
        """The treatment's mean less the control's."""
        return self.treatment.mean - self.control.mean

    @property
    def se2(self) -> float:
        """The squared standard error of the difference. Raises ValueError below two visitors in an arm."""
        return self.treatment.se2 + self.control.se2

    @property
    def cautious_se2(self) -> float:
        """The same, but at least what it is if both arms have the variance that they have in common.

        A small arm that happens to lack the rare values has a mean and a variance that are both too small, and looks
        like a loss: 24 % of A/A runs with heavy tails did, after a week at 1 %. At even weights both are the same.
        """
        arms = self.control.moments, self.treatment.moments
        common = math.fsum(moments.m2 for moments in arms) / (self.visitors - len(arms))
        return max(self.se2, common * math.fsum(1 / moments.n for moments in arms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Two arms put together over the phases that have enough in each; no standard error is 0."""

    strata: tuple[Stratum, ...]
    left_out: tuple[int, ...]
    """The phases with too little in an arm."""

    @property
    def used(self) -> tuple[int, ...]:
        """The phases in the estimate."""
        return tuple(stratum.phase for stratum in self.strata)

    @property
    def visitors(self) -> int:
        """Those of both arms in the phases used."""
        return sum(stratum.visitors for stratum in self.strata)

    @property
    def difference(self) -> float:
        """Δ = Σ (n_e/n)(ȳ_T,e − ȳ_C,e)."""
        return self._weighted(lambda stratum: stratum.difference)

    @property
    def se(self) -> float:
        """The square root of Σ (n_e/n)² (s²_T,e/n_T,e + s²_C,e/n_C,e)."""
        return math.sqrt(self._weighted(lambda stratum: stratum.se2, power=2))

    @property
    def cautious_se(self) -> float:
        """The square root of Σ (n_e/n)² SE²_e, with `Stratum.cautious_se2` for SE²_e."""
        return math.sqrt(self._weighted(lambda stratum: stratum.cautious_se2, power=2))

    @property
    def control_mean(self) -> float:
        """Σ (n_e/n) ȳ_C,e: what the control would have, had its visitors come by the phases' sizes."""
        return self._weighted(lambda stratum: stratum.control.mean)

    @property
    def control_se2(self) -> float:
        """The squared standard error of that."""
        return self._weighted(lambda stratum: stratum.control.se2, power=2)

    @property
    def treatment_mean(self) -> float:
        """The same of the treatment: the difference is that between the two."""
        return self._weighted(lambda stratum: stratum.treatment.mean)

    @property
    def treatment_se2(self) -> float:
        """The squared standard error of that."""
        return self._weighted(lambda stratum: stratum.treatment.se2, power=2)

    def _weighted(self, figure: Callable[[Stratum], float], power: int = 1) -> float:
        n = self.visitors
        return math.fsum((stratum.visitors / n) ** power * figure(stratum) for stratum in self.strata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The treatment less the control, in the unit of the value (a rate: from −1 to 1)."""

    difference: float
    se: float
    control_mean: float
    """The control's, put together by the phases' sizes as the difference is."""
    low: float
    high: float
    log_e: float | None
    """ln E: the evidence against no difference; None where the interval and p are for one look (`fixed`)."""
    p: float
    """Always valid, but for one look; the interval excludes 0 exactly where it is at most `alpha`."""
    alpha: float
    """The chance of a false alarm, over all looks, that this comparison was given."""
    visitors: int
    """Those of both arms in the phases used."""
    used: tuple[int, ...]
    """The phases in the estimate."""
    left_out: tuple[int, ...]
    """The phases with too little in an arm."""

    def __post_init__(self) -> None:
        if not (self.low <= self.difference <= self.high and 0 <= self.p <= 1):
            raise ValueError(f"{self.difference} in {self.low} … {self.high}, p {self.p}: no comparison")

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves 0 out: with a sequence, E ≥ 1/alpha."""
        return self.low > 0 or self.high < 0


def alpha_each(alpha: float, arms: int) -> float:
    """Return what each of the `arms` − 1 comparisons with the control may spend of `alpha` (Bonferroni).

    Raises ValueError for fewer than two arms.
    """
    if arms < 2:
        raise ValueError(f"{arms} arms: a comparison needs at least 2")
    return alpha / (arms - 1)


def pool(strata: Iterable[Stratum]) -> Pooled | Inconclusive:
    """Return both arms over the phases that have enough in each arm, or the reason why none has."""
    strata = tuple(strata)
    peopled = [stratum for stratum in strata if min(stratum.control.n, stratum.treatment.n) >= VISITORS_AN_ARM]
    kept = [stratum for stratum in peopled if min(stratum.expected) >= CONVERSIONS_EXPECTED_A_PHASE]
    if not peopled:
        lacking = (arm.lacks for stratum in strata for arm in (stratum.control, stratum.treatment) if arm.lacks)
        return Inconclusive(reason=next(lacking, Reason.FEW_VISITORS))
    if not _enough_conversions(kept):
        return Inconclusive(reason=Reason.FEW_CONVERSIONS)
    found = Pooled(strata=tuple(kept), left_out=tuple(stratum.phase for stratum in strata if stratum not in kept))
    if found.se <= ROUNDING * max(abs(arm.mean) for each in kept for arm in (each.control, each.treatment)):
        return Inconclusive(reason=Reason.NO_SPREAD)
    return found


def compare(strata: Iterable[Stratum], *, alpha: float, expected_visitors: int) -> Comparison | Inconclusive:
    """Return the post-stratified difference with its always-valid interval, at this look.

    Δ = Σ (n_e/n)(ȳ_T,e − ȳ_C,e) and SE² = Σ (n_e/n)² SE²_e over the phases e that have enough in each arm, n_e and
    n their visitors in both arms, SE²_e their `Stratum.cautious_se2`. `alpha` is this comparison's own, `alpha_each`;
    `expected_visitors` is N*, frozen when the split starts.

    Raises ValueError for an `alpha` not between 0 and 1.
    """
    found = pool(strata)
    if isinstance(found, Inconclusive):
        return found
    sequence = ConfidenceSequence(alpha=alpha, expected_visitors=expected_visitors)
    difference, se, n = found.difference, found.cautious_se, found.visitors
    half, log_e = sequence.half_width(se, n), sequence.log_e(difference, se, n)
    return Comparison(
        difference=difference,
        se=se,
        control_mean=found.control_mean,
        low=difference - half,
        high=difference + half,
        log_e=log_e,
        p=p_value(log_e),
        alpha=alpha,
        visitors=n,
        used=found.used,
        left_out=found.left_out,
    )


def _enough_conversions(kept: list[Stratum]) -> bool:
    if sum(stratum.conversions for stratum in kept) < CONVERSIONS_IN_ALL:
        return False
    control, treatment = (math.fsum(arm) for arm in zip(*(stratum.expected for stratum in kept), strict=True))
    return abs(1 / control - 1 / treatment) <= UNEVENNESS_LIMIT
