"""What the visitors of one arm gave, at every look of many simulated splits.

Sums, not central moments: the values are near 1, so no digits are lost, and sums are quick to make and to add.
Every look sees all visitors of the looks before it, so the arrays are cumulated along the looks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One arm. Every array has the shape (runs, looks, phases), or one that broadcasts to it."""

    n: Floats
    """Visitors."""
    total: Floats
    """Σ value."""
    squares: Floats
    """Σ value²."""
    conversions: Floats
    """Visitors whose value is not 0."""

    @property
    def mean(self) -> Floats:
        """The mean value; 0 where there are no visitors."""
        return self.total / np.maximum(self.n, 1)

    @property
    def m2(self) -> Floats:
        """Σ (value − mean)²."""
        return np.maximum(self.squares - self.total * self.mean, 0.0)

    @property
    def se2(self) -> Floats:
        """The squared standard error of the mean; 0 below two visitors."""
        return self.m2 / np.maximum(self.n - 1, 1) / np.maximum(self.n, 1)

    @property
    def thrown_together(self) -> "Cells":
        """The same visitors with all phases in one, of the shape (runs, looks, 1)."""
        shape = np.broadcast_shapes(self.n.shape, self.total.shape)
        sums = (np.broadcast_to(each, shape).sum(axis=-1, keepdims=True) for each in self._arrays)
        return Cells(**dict(zip(("n", "total", "squares", "conversions"), sums, strict=True)))

    @property
    def _arrays(self) -> tuple[Floats, ...]:
        return self.n, self.total, self.squares, self.conversions


def of_rate(n: Floats, converted: Floats) -> Cells:
    """Return the arm whose visitors give 1 where they converted and 0 where not."""
    return Cells(n=n, total=converted, squares=converted, conversions=converted)


def rates(rng: np.random.Generator, runs: int, blocks: Counts, rate: float) -> Cells:
    """Return `runs` arms that convert with the chance `rate`.

    `blocks`, of the shape (looks, phases), has the visitors that are new at each look.
    """
    converted = rng.binomial(blocks, rate, (runs, *blocks.shape)).cumsum(axis=1).astype(np.float64)
    return of_rate(blocks.cumsum(axis=0).astype(np.float64), converted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What visitors spend: most nothing, the others an amount whose logarithm is normal, with the median 1."""

    buyers: float
    """The part of the visitors who spend something."""
    sigma: float
    """Of the logarithm. 1: the dearest of a hundred baskets is 10 × the median; 2: 105 ×."""

    def capped_at(self, percentile: float, visitors: int, seed: int) -> float:
        """Return this percentile of what `visitors` spent before the split, those who spent nothing included."""
        rng = np.random.default_rng(seed)
        return float(np.percentile(_amounts(rng, self, visitors) * (rng.random(visitors) < self.buyers), percentile))


def spending(
    rng: np.random.Generator, runs: int, blocks: Counts, habits: Spending, caps: tuple[float, ...] = (np.inf,)
) -> tuple[Cells, ...]:
    """Return `runs` arms of visitors who spend, the same ones for each of the `caps` on a visitor's amount.

    `blocks`, of the shape (looks, phases), has the visitors that are new at each look.
    """
    shape = (runs, *blocks.shape)
    buyers = rng.binomial(blocks, habits.buyers, shape)
    amounts = _amounts(rng, habits, int(buyers.sum()))
    block = np.repeat(np.arange(buyers.size), buyers.ravel())
    n, conversions = blocks.cumsum(axis=0).astype(np.float64), buyers.cumsum(axis=1).astype(np.float64)
    made = []
    for cap in caps:
        capped = np.minimum(amounts, cap)
        total, squares = (
            np.bincount(block, weights, buyers.size).reshape(shape).cumsum(axis=1) for weights in (capped, capped**2)
        )
        made.append(Cells(n=n, total=total, squares=squares, conversions=conversions))
    return tuple(made)


def _amounts(rng: np.random.Generator, habits: Spending, count: int) -> Floats:
    return rng.lognormal(0.0, habits.sigma, count)
