"""Cells as they add up, and as they are told: what engines share once each has its figures.

Invariants:
    * Figures of one cell may come in parts (of shards, say) and in any order.
    * A visitor without an event is a zero in each measure, added by count.
    * Cells are told in the order of the phases and variants asked for, then by day, bucket (none first) and maturity.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from balancer.stats.cells import ExposedCell, MeasureCell, SplitQuestion
from balancer.stats.comoments import CoMoments

BUCKETS_LIMIT = 20
"""More values of a dimension than a table shows; the rest are one bucket, `OTHER`."""
OTHER = "other"
DAY_MILLISECONDS = 86_400_000
# 0 is for visitors of whom nothing tells the dimension, the last for those of the rest.
BUCKETS = BUCKETS_LIMIT + 2
_Key = tuple[int, str, int, str | None, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which visitors: what the integer stands for by which an engine groups them."""

    phase: int
    variant: str
    day: int
    bucket: str | None
    ripe: int
    """How many of the windows, from the shortest on, are over for its visitors."""


def place_of(cell: int, question: SplitQuestion, windows: int, buckets: Sequence[str]) -> Place:
    """Return what one integer says: day, phase, variant, bucket, how many of the `windows` are over; in this order."""
    cell, ripe = divmod(cell, windows + 1)
    cell, bucket = divmod(cell, BUCKETS)
    cell, variant = divmod(cell, len(question.variants))
    day, phase = divmod(cell, len(question.phases))
    named = [None, *buckets]
    return Place(
        phase=question.phases[phase],
        variant=question.variants[variant],
        day=day,
        bucket=named[bucket] if bucket < len(named) else OTHER,
        ripe=ripe,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What some visitors of one cell did, of one measure."""

    events: int
    conversions: int
    moments: CoMoments
    """Of those who did something."""
    reached: tuple[int, ...] = ()


@dataclass(slots=True)
class _Sum:
    visitors: int = 0
    events: int = 0
    conversions: int = 0
    moments: CoMoments = field(default_factory=CoMoments.empty)
    reached: tuple[int, ...] = ()


class CellSums:
    """The cells of one measure."""

    def __init__(self, question: SplitQuestion, window: int, steps: int, visitors: Mapping[Place, int]) -> None:
        """Begin with nothing but zeros; `window` is the place of the measure's among all, shortest first."""
        self._question = question
        self._window = window
        self._sums: dict[_Key, _Sum] = {}
        for place, count in visitors.items():
            self._sums.setdefault(_key(place, window), _Sum(reached=(0,) * steps)).visitors += count

    def add(self, place: Place, figures: Figures) -> None:
        """Add what some visitors of a place did."""
        found = self._sums[_key(place, self._window)]
        found.events += figures.events
        found.conversions += figures.conversions
        found.moments += figures.moments
        found.reached = tuple(a + b for a, b in zip(found.reached, figures.reached, strict=True))

    def cells(self) -> tuple[MeasureCell, ...]:
        """Return them, zeros included."""
        return tuple(
            MeasureCell(
                phase=phase,
                variant=variant,
                day=day,
                bucket=bucket,
                mature=mature,
                events=each.events,
                conversions=each.conversions,
                moments=each.moments.with_zeros(each.visitors - each.moments.n),
                reached=each.reached,
            )
            for key in _in_order(self._question, self._sums)
            for (phase, variant, day, bucket, mature), each in [(key, self._sums[key])]
        )


def exposed_cells(question: SplitQuestion, visitors: Mapping[Place, int]) -> tuple[ExposedCell, ...]:
    """Return how many visitors there are in each cell."""
    counts: defaultdict[_Key, int] = defaultdict(int)
    for place, count in visitors.items():
        counts[place.phase, place.variant, place.day, place.bucket, False] += count
    return tuple(
        ExposedCell(phase=phase, variant=variant, day=day, bucket=bucket, visitors=counts[key])
        for key in _in_order(question, counts)
        for phase, variant, day, bucket, _ in [key]
    )


def quantile_of(counts: Mapping[float, int], quantile: float) -> float:
    """Return the quantile of values, each so many times, interpolated linearly between the two nearest."""
    place = quantile * (sum(counts.values()) - 1)
    whole = int(place)
    values = sorted(counts.items())
    low = high = values[-1][0]
    seen = 0
    for value, count in values:
        if seen <= whole < seen + count:
            low = value
        if seen <= whole + 1 < seen + count:
            high = value
            break
        seen += count
    return low + (high - low) * (place - whole)


def _key(place: Place, window: int) -> _Key:
    return place.phase, place.variant, place.day, place.bucket, place.ripe > window


def _in_order(question: SplitQuestion, keys: Iterable[_Key]) -> list[_Key]:
    def order(key: _Key) -> tuple[int, int, int, bool, str, bool]:
        phase, variant, day, bucket, mature = key
        return (
            question.phases.index(phase),
            question.variants.index(variant),
            day,
            bucket is not None,
            bucket or "",
            mature,
        )

    return sorted(keys, key=order)
