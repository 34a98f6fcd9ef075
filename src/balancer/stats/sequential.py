"""The asymptotic confidence sequence: an interval that holds at every look at once.

Invariants:
    * Over all looks together the truth is outside an interval with probability alpha at most, as counts grow.
    * The interval excludes 0 exactly where E ≥ 1/alpha.
    * For one n, half-width and standard error are proportional.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", arXiv 2103.06476: eq. 9 (the interval), 155 (the e-process), 161 (rho). Used by
`compare` and `arm`.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """The boundary of one comparison; frozen before its first look."""

    alpha: float
    """The chance of a false alarm over all looks together, between 0 and 1."""
    expected_visitors: int
    """N*: the number of visitors at which the interval is about as narrow as it can be made."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha {self.alpha} must lie between 0 and 1")
        if self.expected_visitors < 1:
            raise ValueError(f"{self.expected_visitors} expected visitors: at least 1 is needed")

    @property
    def rho(self) -> float:
        """The scale of the mixture, tuned to N* (eq. 161)."""
        twice = -2 * math.log(self.alpha)
        return math.sqrt((twice + math.log(twice + 1)) / self.expected_visitors)

    def half_width(self, se: float, n: int) -> float:
        """Return half the width of the interval after `n` visitors, in the unit of `se` (eq. 9).

        Raises ValueError for a negative `se` or fewer than one visitor.
        """
        if se < 0:
            raise ValueError(f"a standard error of {se}: it is 0 or more")
        scaled = self._scaled(n)
        return se * math.sqrt(2 * (scaled + 1) / scaled * (math.log1p(scaled) / 2 - math.log(self.alpha)))

    def log_e(self, difference: float, se: float, n: int) -> float:
        """Return ln E, the evidence after `n` visitors that the true difference is not 0 (eq. 155).

        Raises ValueError for a standard error that is not positive or fewer than one visitor.
        """
        if se <= 0:
            raise ValueError(f"evidence needs a positive standard error, not {se}")
        scaled = self._scaled(n)
        z = difference / se
        return z * z * scaled / (2 * (scaled + 1)) - math.log1p(scaled) / 2

    def _scaled(self, n: int) -> float:
        """Return n ρ²."""
        if n < 1:
            raise ValueError(f"an interval after {n} visitors: at least 1 is needed")
        return n * self.rho**2


def p_value(log_e: float) -> float:
    """Return min(1, 1/E), which is at most alpha exactly where E ≥ 1/alpha."""
    return math.exp(-max(log_e, 0.0))
