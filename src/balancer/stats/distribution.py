"""How a number of a visitor is distributed: how many visitors gave from 1 to 2, 2 to 3 … 9 to 10, 10 to 20 of it.

Invariants:
    * Bins have one digit that counts, so that they are the same everywhere, add up, and can be read.
    * Who gave nothing is in no bin: the visitors that the bins lack.
    * Nothing is compared: a distribution is for looking at.

Asked for with a `SplitQuestion` of one measure, answered by an engine in `store`; plain, so that JSON carries it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Nine decimals: a sum of cents that should be 0.3 is 0.30000000000000004 or 0.29999999999999998, by its order.
ROUNDED = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The visitors whose number is from `low` on and below `high`; of losses, above `low` up to `high`."""

    low: float
    high: float
    visitors: int

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"from {self.low} to {self.high} there is nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantDistribution:
    """The visitors of a variant."""

    variant: str
    visitors: int
    """All that were exposed."""
    bins: tuple[Bin, ...]
    """Of those whose number is not 0, from the least on; one without visitors is not there."""

    @property
    def nothing(self) -> int:
        """Visitors whose number is 0."""
        return self.visitors - sum(each.visitors for each in self.bins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One measure, of each variant that was asked for, in its order."""

    variants: tuple[VariantDistribution, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """Where a number lies: `digit` × 10^`exponent`, with its sign."""

    variant: str
    negative: bool
    exponent: int
    digit: int
    """Usually 1 to 9; 0 and 10 are of a logarithm that was rounded to the next power."""


def leading(variant: str, number: float) -> Leading:
    """Return where a number that is not 0 lies, as engines are to say it."""
    exponent = math.floor(math.log10(abs(number)))
    digit = math.floor(round(abs(number) / 10.0**exponent, ROUNDED))
    return Leading(variant=variant, negative=number < 0, exponent=exponent, digit=digit)


def distribution(
    variants: Sequence[str], visitors: Mapping[str, int], counts: Iterable[tuple[Leading, int]]
) -> Distribution:
    """Return the distribution that counts of visitors, in parts and in any order, add up to."""
    found: dict[str, Counter[tuple[float, float]]] = {variant: Counter() for variant in variants}
    for place, count in counts:
        found[place.variant][_ends(place)] += count
    return Distribution(
        variants=tuple(
            VariantDistribution(
                variant=variant,
                visitors=visitors.get(variant, 0),
                bins=tuple(Bin(low=low, high=high, visitors=n) for (low, high), n in sorted(bins.items())),
            )
            for variant, bins in found.items()
        )
    )


def _ends(place: Leading) -> tuple[float, float]:
    """Return the ends of a bin, exactly as they are written."""
    digit, exponent = place.digit, place.exponent
    if digit >= 10:
        digit, exponent = 1, exponent + 1
    elif digit < 1:
        digit, exponent = 9, exponent - 1
    low, high = float(f"{digit}e{exponent}"), float(f"{digit + 1}e{exponent}")
    return (-high, -low) if place.negative else (low, high)
