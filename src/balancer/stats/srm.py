"""The sample-ratio test: do the variants get the visitors that the weights intend?

Invariants:
    * Looked at as often as one likes, a split without fault alarms with probability 1/1000 at most.
    * Each phase gives one E, against its own weights; over phases their logarithms add.
    * A visitor in a variant of weight 0 is an alarm at once, whatever the other counts.

A split that alarms is broken: what differs between its variants may be who is counted, not what they did.
Source: Lindon & Malek, "Anytime-valid inference for multinomial count data", arXiv 2011.03567.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.stats.sequential import p_value

# 1000, because every split is looked at for all its life, and an alarm ends what people are in the middle of.
ALARM_AT = math.log(1000)
# The prior's weight in visitors: α0 = 100 θ. It makes no test invalid, only quicker or slower.
_PRIOR_VISITORS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCounts:
    """What one phase intended and what it got, by variant."""

    weights: Mapping[str, int]
    """In any unit; a variant that is not named has weight 0."""
    visitors: Mapping[str, int]
    """The exposed visitors assigned in the phase."""

    def __post_init__(self) -> None:
        if any(weight < 0 for weight in self.weights.values()) or not any(self.weights.values()):
            raise ValueError(f"the weights {dict(self.weights)} must be 0 or more, and one of them more")
        if any(count < 0 for count in self.visitors.values()):
            raise ValueError(f"the counts {dict(self.visitors)} must be 0 or more")

    @property
    def shares(self) -> dict[str, float]:
        """The weights as parts of 1."""
        total = sum(self.weights.values())
        return {variant: weight / total for variant, weight in self.weights.items()}

    @property
    def log_e(self) -> float:
        """ln B(α0 + n) − ln B(α0) − Σ nᵢ ln θᵢ; infinite where a variant of weight 0 has a visitor."""
        shares = {variant: share for variant, share in self.shares.items() if share}
        if any(count and variant not in shares for variant, count in self.visitors.items()):
            return math.inf
        prior = {variant: _PRIOR_VISITORS * share for variant, share in shares.items()}
        counts = {variant: self.visitors.get(variant, 0) for variant in shares}
        posterior = [prior[variant] + counts[variant] for variant in shares]
        fit = math.fsum(count * math.log(shares[variant]) for variant, count in counts.items())
        return _log_beta(posterior) - _log_beta(prior.values()) - fit


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCount:
    """One variant over all phases."""

    variant: str
    observed: int
    expected: float
    """What the weights of the phases give it of the visitors each phase had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """The outcome of the test at this look."""

    log_e: float
    """ln E; infinite where a variant of weight 0 has a visitor."""
    p: float
    """Always valid: min(1, 1/E)."""
    counts: tuple[VariantCount, ...]

    @property
    def alarm(self) -> bool:
        """Whether the counts do not fit the weights."""
        return self.log_e >= ALARM_AT


def sample_ratio(phases: Iterable[PhaseCounts]) -> SampleRatio:
    """Return whether the visitors of the phases fit their weights."""
    phases = tuple(phases)
    log_e = sum(phase.log_e for phase in phases)
    variants = dict.fromkeys(variant for phase in phases for variant in (*phase.weights, *phase.visitors))
    return SampleRatio(
        log_e=log_e,
        p=p_value(log_e),
        counts=tuple(_count(variant, phases) for variant in variants),
    )


def _count(variant: str, phases: Iterable[PhaseCounts]) -> VariantCount:
    observed, expected = 0, 0.0
    for phase in phases:
        observed += phase.visitors.get(variant, 0)
        expected += phase.shares.get(variant, 0.0) * sum(phase.visitors.values())
    return VariantCount(variant=variant, observed=observed, expected=expected)


def _log_beta(parameters: Iterable[float]) -> float:
    """Return ln B: the logarithm of the product of the gammas over the gamma of the sum."""
    taken = tuple(parameters)
    return math.fsum(math.lgamma(each) for each in taken) - math.lgamma(math.fsum(taken))
