"""Moments: count, mean and spread of one number a visitor, in a form that adds.

Invariants:
    * Adding is pooling: the moments of the parts add up to those of the whole, in any order, to rounding.
    * The spread is kept about the mean: a sum of squares loses its digits where the mean is large.
    * Below two values there is no variance; nothing stands in for it.

The ledger makes them, one for each cell; `compare` and the report read them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """How many values there are, their mean, and the sum of their squared distances from it."""

    n: int
    mean: float
    """0 where there are no values."""
    m2: float
    """Σ (value − mean)²; 0 below two values."""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"moments of {self.n} values: a count is 0 or more")
        if not (math.isfinite(self.mean) and math.isfinite(self.m2)):
            raise ValueError(f"mean {self.mean} and m2 {self.m2} must both be finite")
        if self.m2 < 0 or (self.n < 2 and self.m2 != 0):
            raise ValueError(f"{self.n} values cannot have an m2 of {self.m2}")
        if self.n == 0 and self.mean != 0:
            raise ValueError(f"no values cannot have a mean of {self.mean}")

    @classmethod
    def empty(cls) -> Self:
        """Return the moments of no values: what adds nothing."""
        return cls(n=0, mean=0.0, m2=0.0)

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the moments of `values`, in two passes with exact sums.

        Raises ValueError where a value is not finite.
        """
        taken = tuple(values)
        if not taken:
            return cls.empty()
        mean = math.fsum(taken) / len(taken)
        m2 = math.fsum((value - mean) ** 2 for value in taken) if len(taken) > 1 else 0.0
        return cls(n=len(taken), mean=mean, m2=m2)

    @classmethod
    def of_proportion(cls, successes: int, n: int) -> Self:
        """Return the moments of `n` values of which `successes` are 1 and the others 0. Raises ValueError."""
        if not 0 <= successes <= n:
            raise ValueError(f"{successes} successes among {n}: from 0 to {n} are possible")
        if n == 0:
            return cls.empty()
        return cls(n=n, mean=successes / n, m2=successes * (n - successes) / n)

    def __add__(self, other: Self) -> Self:
        """Return the moments of the values of both (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        n = self.n + other.n
        if n == 0:
            return self
        apart = other.mean - self.mean
        return type(self)(
            n=n,
            mean=self.mean + apart * (other.n / n),
            m2=self.m2 + other.m2 + apart * apart * (self.n * other.n / n),
        )

    def with_zeros(self, count: int) -> Self:
        """Return the moments with `count` more values that are 0. Raises ValueError below 0."""
        return self + type(self)(n=count, mean=0.0, m2=0.0)

    @property
    def variance(self) -> float | None:
        """The sample variance (divided by n − 1), None below two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else None

    @property
    def sd(self) -> float | None:
        """The square root of the sample variance, in the unit of the values; None below two values."""
        variance = self.variance
        return None if variance is None else math.sqrt(variance)
