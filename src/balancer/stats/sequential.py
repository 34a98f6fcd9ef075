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
from statistics import NormalDist

# −ζ(½)/√(2π): by how many standard deviations of a step a walk is beyond a boundary when it is first seen there.
_BETWEEN_LOOKS = 0.5826

_NORMAL = NormalDist()


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

    def chance_to_exclude_zero(self, z: float, n: int, looks: int) -> float:
        """Return how likely one of `looks` even looks at up to `n` visitors shows the difference, in its direction.

        `z` is the true difference by its standard error after `n` visitors. The estimate moves as a Brownian motion
        with drift. The last look is taken as it is; for those before it the boundary is replaced by its tangent at `n`,
        which lies above it and for which the chance is known (by reflection), and moved away by what is not seen
        between looks, 0.5826 standard deviations of a step (Siegmund, "Sequential Analysis", 1985). For planning, not
        for verdicts: beside simulated motions it is right to 0.02 up to N*, and at most 0.04 too low at 30 N*.

        Raises ValueError for fewer than one visitor or look.
        """
        if looks < 1:
            raise ValueError(f"a chance with {looks} looks: at least 1 is needed")
        scaled = self._scaled(n)
        evidence = math.log1p(scaled) / 2 - math.log(self.alpha)
        boundary = math.sqrt(2 * (scaled + 1) / scaled * evidence)
        slope = (2 * evidence + 1) / (2 * boundary)
        start, drift = boundary - slope, z - slope
        seen = start + _BETWEEN_LOOKS / math.sqrt(looks)
        reflected = 2 * seen - start + drift
        # Beyond 35 the first term is 1 to every digit, and the exponential would leave the range of a float.
        before = math.exp(2 * seen * drift) * _NORMAL.cdf(-reflected) if looks > 1 and reflected < 35 else 0.0
        return min(1.0, _NORMAL.cdf(drift - start) + before)

    def _scaled(self, n: int) -> float:
        """Return n ρ²."""
        if n < 1:
            raise ValueError(f"an interval after {n} visitors: at least 1 is needed")
        return n * self.rho**2


def p_value(log_e: float) -> float:
    """Return min(1, 1/E), which is at most alpha exactly where E ≥ 1/alpha."""
    return math.exp(-max(log_e, 0.0))
