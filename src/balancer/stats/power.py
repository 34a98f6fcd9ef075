"""Planning: how many visitors a split needs, and what it can show with those it will get.

Invariants:
    * More visitors, a larger effect or a larger alpha never lower the chance that the effect is shown.
    * With several treatments the one that is hardest to compare decides, at its part of alpha.
    * The smallest effect of a sample is the one whose sample that is.

Two plans: the fixed horizon (one look, on a day declared before) and the always-valid one (looks as it runs), which
needs about 1.7 times the visitors for the same chance. Read by `balancer split plan` and, for what is still needed, by
the report.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from balancer.stats.compare import Comparison, alpha_each
from balancer.stats.fixed import critical_value
from balancer.stats.sequential import ConfidenceSequence

# A look is a daily close, and N* is what comes in 14 days.
LOOKS = 14
# 100 times the visitors there have been: nobody waits a hundred times as long as it has taken.
_HOPELESS = 100
# 10¹⁵: beyond every count of visitors, and exact as a float.
_MOST_VISITORS = 10**15

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a visitor of the control gives."""

    mean: float
    sd: float
    """Of the visitors' values, zeros included."""
    is_rate: bool

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.sd < math.inf):
            raise ValueError(f"a mean of {self.mean} with an SD of {self.sd}: the SD has to be above 0")
        if self.is_rate and not 0 < self.mean < 1:
            raise ValueError(f"a rate of {self.mean}: it has to lie between 0 and 1")

    @classmethod
    def of_rate(cls, rate: float) -> Self:
        """Return the baseline of a rate between 0 and 1. Raises ValueError."""
        if not 0 < rate < 1:
            raise ValueError(f"a rate of {rate}: it has to lie between 0 and 1")
        return cls(mean=rate, sd=math.sqrt(rate * (1 - rate)), is_rate=True)

    @classmethod
    def of_mean(cls, mean: float, sd: float) -> Self:
        """Return the baseline of a mean, in the unit of the value. Raises ValueError."""
        return cls(mean=mean, sd=sd, is_rate=False)

    def variance_with(self, effect: float) -> float:
        """Return the variance of a treatment whose mean is `effect` more.

        Raises ValueError where that would be no rate.
        """
        if not self.is_rate:
            return self.sd * self.sd
        rate = self.mean + effect
        if not 0 <= rate <= 1:
            raise ValueError(f"a rate of {self.mean} cannot change by {effect}: {rate} is no rate")
        return rate * (1 - rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The visitors that a split needs."""

    visitors: tuple[int, ...]
    """Of each variant, in the order of the weights."""

    @property
    def total(self) -> int:
        """Those of all variants."""
        return sum(self.visitors)

    def days(self, a_day: float) -> int:
        """Return how many days it takes with `a_day` visitors of the split a day. Raises ValueError."""
        if not a_day > 0:
            raise ValueError(f"{a_day} visitors a day: more than 0 are needed")
        return math.ceil(self.total / a_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A split before it starts: what is measured, and how the visitors are shared out."""

    baseline: Baseline
    weights: tuple[int, ...] = (1, 1)
    """In any unit, the control's first; every one above 0."""
    alpha: float = 0.05
    """The chance of a false alarm, which the comparisons with the control share."""
    power: float = 0.8
    """The chance that the effect is shown where there is one."""

    def __post_init__(self) -> None:
        if len(self.weights) < 2 or min(self.weights) <= 0:
            raise ValueError(f"the weights {self.weights} must be two or more, each above 0")
        if not (0 < self.alpha < 1 and self.alpha < self.power < 1):
            raise ValueError(f"alpha {self.alpha} and power {self.power}: 0 < alpha < power < 1 is needed")

    def fixed(self, effect: float) -> Sample:
        """Return the sample that shows `effect` (absolute, either sign) at one look.

        For rates Evan Miller's form, rounded as his: the variance of no difference for the false alarm, that of the
        effect for the power, with equal weights n = (z_{α/2} √(2p(1−p)) + z_β √(p(1−p) + p'(1−p')))² / δ² an arm.

        Raises ValueError for an effect of 0 or one that no rate can have.
        """
        _check(effect)
        z_alpha, z_power = critical_value(self._alpha), _NORMAL.inv_cdf(self.power)
        return self._sample(
            max(
                ((z_alpha * self._spread(weight, 0.0) + z_power * self._spread(weight, effect)) / effect) ** 2
                for weight in self.weights[1:]
            )
        )

    def always_valid(self, effect: float, *, expected_visitors: int, looks: int = LOOKS) -> Sample:
        """Return the sample within which one of `looks` looks shows `effect` (absolute, either sign).

        `expected_visitors` is the N* of the split. Raises ValueError for an effect of 0 or one that no rate can have.
        """
        _check(effect)
        return self._sample(
            _least(
                lambda visitors: self._chance_always_valid(effect, visitors, expected_visitors, looks) >= self.power,
                _MOST_VISITORS,
            )
        )

    def smallest_fixed(self, visitors: int) -> float | None:
        """Return the smallest gain (absolute) that `visitors` of all variants show at one look, None where none is."""
        z_alpha = critical_value(self._alpha)

        def chance(effect: float) -> float:
            return min(
                _NORMAL.cdf(
                    (effect * math.sqrt(visitors) - z_alpha * self._spread(weight, 0.0)) / self._spread(weight, effect)
                )
                for weight in self.weights[1:]
            )

        return self._smallest(chance)

    def smallest_always_valid(self, visitors: int, *, expected_visitors: int, looks: int = LOOKS) -> float | None:
        """Return the smallest gain (absolute) that one of `looks` looks up to `visitors` shows, None where none is."""
        return self._smallest(lambda effect: self._chance_always_valid(effect, visitors, expected_visitors, looks))

    @property
    def _alpha(self) -> float:
        return alpha_each(self.alpha, len(self.weights))

    def _spread(self, weight: int, effect: float) -> float:
        """Return SE √(visitors of all variants) of the difference of a treatment of this weight."""
        whole = sum(self.weights)
        control = self.baseline.sd * self.baseline.sd * whole / self.weights[0]
        return math.sqrt(control + self.baseline.variance_with(effect) * whole / weight)

    def _chance_always_valid(self, effect: float, visitors: int, expected_visitors: int, looks: int) -> float:
        sequence = ConfidenceSequence(alpha=self._alpha, expected_visitors=expected_visitors)
        return min(
            sequence.chance_to_exclude_zero(
                abs(effect) * math.sqrt(visitors) / self._spread(weight, effect),
                max(1, round(visitors * (self.weights[0] + weight) / sum(self.weights))),
                looks,
            )
            for weight in self.weights[1:]
        )

    def _sample(self, visitors: float) -> Sample:
        whole = sum(self.weights)
        return Sample(visitors=tuple(round(visitors * weight / whole) for weight in self.weights))

    def _smallest(self, chance: Callable[[float], float]) -> float | None:
        """Return the least effect whose chance is the power, to 12 digits."""
        # A rate cannot rise above 1, nor be 1: then its visitors have no spread. A mean may differ by any SDs.
        most = (1 - self.baseline.mean) * (1 - 1e-9) if self.baseline.is_rate else self.baseline.sd * 1e6
        if chance(most) < self.power:
            return None
        low, high = 0.0, most
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if chance(middle) >= self.power else (middle, high)
        return high


def still_needed(comparison: Comparison, *, expected_visitors: int) -> int | None:
    """Return how many more visitors of both arms until the interval excludes 0, if the present difference is the true.

    Only the standard error is taken to change, with the root of the visitors. None where the interval excludes 0
    already, where it would take more than a hundred times the visitors there have been, and where one look was all.
    """
    if comparison.excludes_zero or comparison.log_e is None:
        return None
    sequence = ConfidenceSequence(alpha=comparison.alpha, expected_visitors=expected_visitors)
    n = comparison.visitors

    def excludes_zero(visitors: int) -> bool:
        se = comparison.se * math.sqrt(n / visitors)
        return abs(comparison.difference) > sequence.half_width(se, visitors)

    if not excludes_zero(_HOPELESS * n):
        return None
    return _least(excludes_zero, _HOPELESS * n) - n


def _check(effect: float) -> None:
    if not math.isfinite(effect) or effect == 0:
        raise ValueError(f"an effect of {effect}: it has to differ from 0")


def _least(enough: Callable[[int], bool], most: int) -> int:
    """Return the least number of visitors, at most `most`, that is `enough`, where every larger one is, too."""
    low, high = 0, 1
    while high < most and not enough(high):
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
