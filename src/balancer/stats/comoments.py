"""Co-moments: count, means, spreads and joint spread of two numbers a visitor, in a form that adds.

Invariants:
    * Adding is pooling: the co-moments of the parts add up to those of the whole, in any order, to rounding.
    * All spreads are kept about the means: sums of squares and products lose their digits where a mean is large.
    * `y` and `x` alone are the `Moments` of each number.

y is the number that is compared, x the one beside it: the denominator of a ratio, or what the visitor did before the
assignment (CUPED). The ledger makes them, one for each cell; `arm` reads them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from balancer.stats.moments import Moments

# |c_xy| ≤ √(m2_x m2_y) but for rounding: of the sums (10⁻⁶ of them is more than 10⁹ visitors make), of a mean
# (a constant column merged in parts has a spread of its rounding), and of squares that are too small for a float.
_ROUNDING_OF_SUMS = 1e-6
_ROUNDING_OF_MEAN = 1e-9
_SQUARE_VANISHES = 1e-150


@dataclass(frozen=True, slots=True, kw_only=True)
class CoMoments:
    """How many pairs there are, the means, and the sums of squares and of products about the means."""

    n: int
    mean_y: float
    """0 where there are no pairs."""
    m2_y: float
    """Σ (y − mean_y)²; 0 below two pairs."""
    mean_x: float
    m2_x: float
    c_xy: float
    """Σ (y − mean_y)(x − mean_x); 0 below two pairs."""

    def __post_init__(self) -> None:
        y, x = self.y, self.x  # refuse what no values have
        if not math.isfinite(self.c_xy):
            raise ValueError(f"c_xy {self.c_xy} must be finite")
        if abs(self.c_xy) > _largest_spread(y) * _largest_spread(x) * (1 + _ROUNDING_OF_SUMS):
            raise ValueError(f"c_xy {self.c_xy} is more than m2_y {self.m2_y} and m2_x {self.m2_x} allow")

    @classmethod
    def empty(cls) -> Self:
        """Return the co-moments of no pairs: what adds nothing."""
        return cls(n=0, mean_y=0.0, m2_y=0.0, mean_x=0.0, m2_x=0.0, c_xy=0.0)

    @classmethod
    def of(cls, ys: Iterable[float], xs: Iterable[float]) -> Self:
        """Return the co-moments of the pairs of `ys` and `xs`, in two passes with exact sums.

        Raises ValueError where there are more of one than of the other, or a value is not finite.
        """
        pairs = tuple(zip(ys, xs, strict=True))
        y, x = Moments.of(y for y, _ in pairs), Moments.of(x for _, x in pairs)
        c_xy = math.fsum((a - y.mean) * (b - x.mean) for a, b in pairs) if len(pairs) > 1 else 0.0
        return cls(n=len(pairs), mean_y=y.mean, m2_y=y.m2, mean_x=x.mean, m2_x=x.m2, c_xy=c_xy)

    def __add__(self, other: Self) -> Self:
        """Return the co-moments of the pairs of both (Chan, Golub & LeVeque 1983, eq. 2.1, and its co-moment)."""
        n = self.n + other.n
        if n == 0:
            return self
        y, x = self.y + other.y, self.x + other.x
        apart = (other.mean_y - self.mean_y) * (other.mean_x - self.mean_x)
        return type(self)(
            n=n,
            mean_y=y.mean,
            m2_y=y.m2,
            mean_x=x.mean,
            m2_x=x.m2,
            c_xy=self.c_xy + other.c_xy + apart * (self.n * other.n / n),
        )

    def with_zeros(self, count: int) -> Self:
        """Return the co-moments with `count` more pairs of 0 and 0. Raises ValueError below 0."""
        return self + type(self)(n=count, mean_y=0.0, m2_y=0.0, mean_x=0.0, m2_x=0.0, c_xy=0.0)

    @property
    def y(self) -> Moments:
        """The moments of the number that is compared."""
        return Moments(n=self.n, mean=self.mean_y, m2=self.m2_y)

    @property
    def x(self) -> Moments:
        """The moments of the number beside it."""
        return Moments(n=self.n, mean=self.mean_x, m2=self.m2_x)

    @property
    def covariance(self) -> float | None:
        """The sample covariance (divided by n − 1), None below two pairs."""
        return self.c_xy / (self.n - 1) if self.n > 1 else None


def _largest_spread(moments: Moments) -> float:
    """Return √m2, and what rounding may have taken from it."""
    each = math.hypot(_ROUNDING_OF_MEAN * moments.mean, _SQUARE_VANISHES)
    return math.hypot(math.sqrt(moments.m2), math.sqrt(moments.n) * each)
