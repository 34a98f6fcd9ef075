"""Allocations: which buckets of a split are whose.

Invariants:
    * The buckets from 0 to below `room` are all given out; a branch of weight 0 has none.
    * New weights move the fewest buckets: a variant that grows keeps the buckets it has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.domain.app import BranchName
from balancer.domain.weights import WHOLE

BUCKETS = 65_536


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """The buckets from `start` to below `stop`, and whose they are."""

    start: int
    stop: int
    variant: BranchName


def room_beside(held_out: int) -> int:
    """Return how many buckets are given out where `held_out`, in units of 0.01 %, of all visitors are held out."""
    return BUCKETS - (held_out * BUCKETS + WHOLE // 2) // WHOLE


def reallocate(before: Iterable[Range], weights: Mapping[BranchName, int], room: int = BUCKETS) -> tuple[Range, ...]:
    """Return ranges that give each variant its share of `room` buckets, and move as few as possible from `before`."""
    wanted = _bucket_counts(weights, room)
    kept: list[Range] = []
    have = dict.fromkeys(weights, 0)
    for piece in sorted(before):
        left = wanted.get(piece.variant, 0) - have.get(piece.variant, 0)
        stop = min(piece.stop, piece.start + max(left, 0))
        if stop > piece.start:
            kept.append(Range(piece.start, stop, piece.variant))
            have[piece.variant] += stop - piece.start
    gaps = _gaps(kept, room)
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


def _bucket_counts(weights: Mapping[BranchName, int], room: int) -> dict[BranchName, int]:
    """Return how many buckets each variant gets: rounded on the running total, so that all are given out."""
    counts, total, given = {}, 0, 0
    for variant, weight in weights.items():
        total += weight
        upto = (total * room + WHOLE // 2) // WHOLE
        counts[variant] = upto - given if weight else 0
        given += counts[variant]
    return counts


def _gaps(pieces: Iterable[Range], room: int) -> list[tuple[int, int]]:
    gaps, at = [], 0
    for piece in sorted(pieces):
        if piece.start > at:
            gaps.append((at, piece.start))
        at = piece.stop
    if at < room:
        gaps.append((at, room))
    return gaps


def _joined(pieces: Iterable[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for piece in pieces:
        if joined and joined[-1].variant == piece.variant and joined[-1].stop == piece.start:
            joined[-1] = Range(joined[-1].start, piece.stop, piece.variant)
        else:
            joined.append(piece)
    return tuple(joined)
