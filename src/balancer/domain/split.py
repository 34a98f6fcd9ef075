"""Splits: which branch a visitor sees.

Invariants:
    * One split and one visitor always give one branch, on every machine.
    * Two splits assign independently of each other.
    * A branch of weight 0 receives nobody.
    * New weights move the fewest buckets: a variant that grows keeps the buckets it has.
    * The weights of a phase add up to 100 %, in units of 0.01 %.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation, Overflow
from enum import Enum
from typing import Self

import xxhash

from balancer.domain.app import AppName, BranchName
from balancer.domain.event import VisitorId
from balancer.errors import InvalidName, InvalidWeights

BUCKETS = 65_536
WHOLE = 10_000
"""The weights of a phase add up to this: one is 0.01 %."""
# 65,535, because HAProxy looks a bucket up as the IPv4 address `split number × 65,536 + bucket`.
LAST_SPLIT_NUMBER = 65_535
_SPLIT_ID = re.compile(r"s[1-9][0-9]{0,4}")


class SplitId(str):
    """The id of a split, such as `s17`; it salts the assignment."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _SPLIT_ID.fullmatch(text) or int(text[1:]) > LAST_SPLIT_NUMBER:
            raise InvalidName(f"{text!r} is no id of a split: they are s1 to s{LAST_SPLIT_NUMBER}")
        return super().__new__(cls, text)

    @property
    def number(self) -> int:
        """The 17 of `s17`."""
        return int(self[1:])


class SplitState(Enum):
    """Where a split is in its life."""

    RUNNING = "running"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time span of a split with constant weights."""

    number: int
    weights: Mapping[BranchName, int]
    """Units of 0.01 %, in the order in which the variants were named."""
    started_at: datetime

    def __post_init__(self) -> None:
        check_weights(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A share-out of an app's visitors among branches."""

    id: SplitId
    app: AppName
    control: BranchName
    phases: tuple[Phase, ...]
    state: SplitState
    ended_at: datetime | None
    expected_visitors: int
    """N* of the statistics: visitors expected in 14 days, at least 5,000; frozen when the split starts."""

    def __post_init__(self) -> None:
        if not self.phases or [phase.number for phase in self.phases] != list(range(1, len(self.phases) + 1)):
            raise InvalidWeights(f"the phases of {self.id} must count 1, 2, 3 …")
        if self.control not in self.variants:
            raise InvalidWeights(f"the control {self.control} must be one of the branches of the split")

    @property
    def phase(self) -> Phase:
        """The phase that new visitors are assigned in."""
        return self.phases[-1]

    @property
    def variants(self) -> tuple[BranchName, ...]:
        """The branches of the present phase, in the order in which they were named."""
        return tuple(self.phase.weights)

    @property
    def started_at(self) -> datetime:
        """When the first phase began."""
        return self.phases[0].started_at

    @property
    def allocation(self) -> tuple["Range", ...]:
        """The buckets of each variant in the present phase."""
        ranges: tuple[Range, ...] = ()
        for phase in self.phases:
            ranges = reallocate(ranges, phase.weights)
        return ranges


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """The buckets from `start` to below `stop`, and whose they are."""

    start: int
    stop: int
    variant: BranchName


def bucket(split: SplitId, visitor: VisitorId) -> int:
    """Return the bucket of a visitor in a split, 0 to 65,535; HAProxy computes the same."""
    return bucket_of(split, visitor)


def bucket_of(salt: str, text: str) -> int:
    """Return the bucket of any text under a salt, 0 to 65,535."""
    return xxhash.xxh32_intdigest(f"{salt}:{text}".encode()) & (BUCKETS - 1)


def assign(split: Split, visitor: VisitorId) -> BranchName:
    """Return the variant that a new visitor is to see."""
    place = bucket(split.id, visitor)
    return next(piece.variant for piece in split.allocation if piece.start <= place < piece.stop)


def reallocate(before: Iterable[Range], weights: Mapping[BranchName, int]) -> tuple[Range, ...]:
    """Return ranges that give each variant its share of the buckets, and move as few as possible from `before`."""
    wanted = _bucket_counts(weights)
    kept: list[Range] = []
    have = dict.fromkeys(weights, 0)
    for piece in sorted(before):
        room = wanted.get(piece.variant, 0) - have.get(piece.variant, 0)
        stop = min(piece.stop, piece.start + max(room, 0))
        if stop > piece.start:
            kept.append(Range(piece.start, stop, piece.variant))
            have[piece.variant] += stop - piece.start
    gaps = _gaps(kept)
    for variant, count in wanted.items():
        missing = count - have[variant]
        while missing:
            start, stop = gaps.pop(0)
            taken = min(stop, start + missing)
            kept.append(Range(start, taken, variant))
            missing -= taken - start
            if taken < stop:
                gaps.insert(0, (taken, stop))
    return _joined(sorted(kept))


def check_weights(weights: Mapping[BranchName, int]) -> None:
    """Raise InvalidWeights unless these are weights of two branches or more that add up to 100 %."""
    if len(weights) < 2:
        raise InvalidWeights("a split needs at least two branches, such as `master=50 test=50`")
    for branch, weight in weights.items():
        if not 0 <= weight <= WHOLE:
            raise InvalidWeights(f"the weight of {branch} is {percent(weight)}: from 0 to 100 % are possible")
    total = sum(weights.values())
    if total != WHOLE:
        raise InvalidWeights(f"the weights add up to {percent(total)}, not to 100 %")


def parse_weights(texts: Iterable[str]) -> dict[BranchName, int]:
    """Return the weights that words such as `master=50` and `test=49.95` give; raises InvalidWeights, InvalidName."""
    weights: dict[BranchName, int] = {}
    for text in texts:
        name, equals, share = text.rpartition("=")
        if not equals:
            raise InvalidWeights(f"{text!r} is no weight: write BRANCH=PERCENT, such as `master=50`")
        branch = BranchName(name)
        if branch in weights:
            raise InvalidWeights(f"{branch} is named twice")
        weights[branch] = _units(branch, share)
    check_weights(weights)
    return weights


def hand_over(weights: Mapping[BranchName, int], gone: BranchName, heir: BranchName) -> dict[BranchName, int] | None:
    """Return weights without the branch `gone`, its share added to that of `heir`; None where only that one is left."""
    kept = {branch: weight for branch, weight in weights.items() if branch != gone}
    kept[heir] += weights[gone]
    return kept if len(kept) > 1 else None


def percent(weight: int) -> str:
    """Return a weight for people, such as `49.95 %`."""
    return f"{Decimal(weight) / 100:.2f}".rstrip("0").rstrip(".") + " %"


def _units(branch: str, share: str) -> int:
    try:
        units = Decimal(share.strip().removesuffix("%")) * 100
    except (InvalidOperation, Overflow):
        units = Decimal("NaN")
    if not units.is_finite():
        raise InvalidWeights(
            f"the weight {share!r} of {branch} is no number: write a percentage, such as `{branch}=50`"
        )
    if units != units.to_integral_value():
        raise InvalidWeights(f"the weight {share} of {branch} is too fine: weights go in steps of 0.01 %")
    if not 0 <= units <= WHOLE:
        raise InvalidWeights(f"the weight of {branch} is {share}: from 0 to 100 % are possible")
    return int(units)


def _bucket_counts(weights: Mapping[BranchName, int]) -> dict[BranchName, int]:
    """Return how many buckets each variant gets: rounded on the running total, so that all are given out."""
    counts, total, given = {}, 0, 0
    for variant, weight in weights.items():
        total += weight
        upto = (total * BUCKETS + WHOLE // 2) // WHOLE
        counts[variant] = upto - given if weight else 0
        given += counts[variant]
    return counts


def _gaps(pieces: Iterable[Range]) -> list[tuple[int, int]]:
    gaps, at = [], 0
    for piece in sorted(pieces):
        if piece.start > at:
            gaps.append((at, piece.start))
        at = piece.stop
    if at < BUCKETS:
        gaps.append((at, BUCKETS))
    return gaps


def _joined(pieces: Iterable[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for piece in pieces:
        if joined and joined[-1].variant == piece.variant and joined[-1].stop == piece.start:
            joined[-1] = Range(joined[-1].start, piece.stop, piece.variant)
        else:
            joined.append(piece)
    return tuple(joined)
