"""Assignment is fair whatever ids look like, and no split knows of another.

Each check is done for 1,000 split ids, and beside them for a hash without a salt, which must fail where ours passes.
What is printed stands in docs/explanation/fairness.md.
"""

import functools
import random
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from balancer.domain.allocation import BUCKETS
from balancer.domain.split import bucket_of

IDS = 5000
SPLITS = 1000
SHARES = (0.01, 0.05, 0.1, 0.5)
P_LIMIT = 0.001
SOUND = 0.99
"""The share of split ids whose p must be above the limit; of a fair assignment 0.999 are."""

Hash = Callable[[str, str], int]
"""Gives the bucket of an id in a split."""


def random_uuids() -> list[str]:
    dice = random.Random(4)
    return [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(IDS)]


def e_mail_addresses() -> list[str]:
    return [f"{name}.{n}@example.com" for n in range(IDS // 5) for name in ("ann", "bob", "eve", "kim", "lee")]


SHAPES = {
    "UUIDs": random_uuids(),
    "1, 2, 3 …": [str(n) for n in range(1, IDS + 1)],
    "e-mail addresses": e_mail_addresses(),
    "sequential UUIDs": [str(uuid.UUID(int=n)) for n in range(1, IDS + 1)],
}


def unsalted(split: str, text: str) -> int:
    """FNV-1a of the id alone, as kamal-proxy shares out a rollout; the split has no say."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value >> 16


def buckets(of: Hash, ids: Sequence[str], splits: int) -> NDArray[np.int64]:
    """Return the bucket of each id, in a row for each of the splits s1, s2 …"""
    places = (of(f"s{number}", text) for number in range(1, splits + 1) for text in ids)
    return np.fromiter(places, dtype=np.int64, count=splits * len(ids)).reshape(splits, len(ids))


@functools.cache
def ours(shape: str) -> NDArray[np.int64]:
    return buckets(bucket_of, SHAPES[shape], SPLITS + 1)


def p_of_share(chosen: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return for each split the p of the chi-square test that those chosen are this share of all."""
    ids = chosen.shape[1]
    expected = ids * share
    square = (chosen.sum(1) - expected) ** 2 * (1 / expected + 1 / (ids - expected))
    return np.asarray(stats.chi2.sf(square, 1))


def p_of_independence(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each split and the next the p of the chi-square test of their four fields."""
    first, second, ids = chosen[:-1].sum(1), chosen[1:].sum(1), chosen.shape[1]
    both = (chosen[:-1] & chosen[1:]).sum(1)
    square = (ids * both - first * second) ** 2 * ids / (first * second * (ids - first) * (ids - second))
    return np.asarray(stats.chi2.sf(square, 1))


def passed(places: NDArray[np.int64]) -> dict[float, float]:
    """Return for each share the part of the splits in which no one could tell the assignment from chance."""
    return {share: float((p_of_share(places < share * BUCKETS, share) > P_LIMIT).mean()) for share in SHARES}


@pytest.mark.parametrize("shape", SHAPES)
def test_in_99_of_100_splits_and_more_a_share_is_one_of_chance(shape: str) -> None:
    found = passed(ours(shape))
    print(f"\n{shape}: {', '.join(f'{share:.0%}: {part:.1%}' for share, part in found.items())} of {SPLITS:,} splits")
    assert min(found.values()) >= SOUND


def test_a_hash_without_a_salt_fails_where_ours_passes() -> None:
    """It has one outcome for all splits, so one tells."""
    places = buckets(unsalted, SHAPES["1, 2, 3 …"], 1)
    found = passed(places)
    reached = float((places[0, :1000] < BUCKETS / 10).mean())
    print(f"\nwithout a salt, 10 % reach {reached:.1%} of 1 … 1,000; passed: {found}")
    assert found[0.1] == 0
    assert reached == pytest.approx(0.049)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_two_splits_share_out_the_same_ids_independently(shape: str, share: float) -> None:
    found = p_of_independence(ours(shape) < share * BUCKETS) > P_LIMIT
    print(f"\n{shape} at {share:.0%}: {found.mean():.1%} of {len(found):,} pairs of splits")
    assert found.mean() >= SOUND


def test_without_a_salt_whoever_is_chosen_once_is_chosen_always() -> None:
    (p,) = p_of_independence(buckets(unsalted, SHAPES["UUIDs"], 2) < BUCKETS / 10)
    assert p < 1e-100
