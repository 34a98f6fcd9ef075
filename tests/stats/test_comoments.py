"""Co-moments: adding is pooling, in any order, and no digits are lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.comoments import CoMoments
from balancer.stats.moments import Moments

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30)


def of(pairs: list[tuple[float, float]]) -> CoMoments:
    return CoMoments.of((y for y, _ in pairs), (x for _, x in pairs))


def close(found: CoMoments, wanted: CoMoments) -> bool:
    """Tell whether both are the same to rounding, for values within ±10⁶."""
    return (
        found.n == wanted.n
        and math.isclose(found.mean_y, wanted.mean_y, rel_tol=1e-9, abs_tol=1e-6)
        and math.isclose(found.mean_x, wanted.mean_x, rel_tol=1e-9, abs_tol=1e-6)
        and math.isclose(found.m2_y, wanted.m2_y, rel_tol=1e-9, abs_tol=1e-2)
        and math.isclose(found.m2_x, wanted.m2_x, rel_tol=1e-9, abs_tol=1e-2)
        and math.isclose(found.c_xy, wanted.c_xy, rel_tol=1e-9, abs_tol=1e-2)
    )


@given(PAIRS, PAIRS)
def test_adding_is_pooling(left: list[tuple[float, float]], right: list[tuple[float, float]]) -> None:
    assert close(of(left) + of(right), of(left + right))


@given(PAIRS, st.data())
def test_cut_anywhere_and_merged_in_any_order_the_parts_are_the_whole(
    pairs: list[tuple[float, float]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pairs)), max_size=5)))
    parts = [pairs[start:end] for start, end in zip([0, *cuts], [*cuts, len(pairs)], strict=True)]
    shuffled = data.draw(st.permutations(parts))

    assert close(sum((of(part) for part in shuffled), CoMoments.empty()), of(pairs))


@given(PAIRS)
def test_adding_no_pairs_changes_nothing(pairs: list[tuple[float, float]]) -> None:
    assert of(pairs) + CoMoments.empty() == of(pairs) == CoMoments.empty() + of(pairs)


@given(PAIRS, st.integers(0, 50))
def test_zeros_count_as_pairs(pairs: list[tuple[float, float]], zeros: int) -> None:
    assert close(of(pairs).with_zeros(zeros), of(pairs + [(0.0, 0.0)] * zeros))


@given(PAIRS)
def test_each_number_alone_has_its_moments(pairs: list[tuple[float, float]]) -> None:
    found = of(pairs)
    assert found.y == Moments.of(y for y, _ in pairs)
    assert found.x == Moments.of(x for _, x in pairs)


def test_a_hand_computed_pair_of_columns_comes_out() -> None:
    # y = 1, 2, 6 about 3 and x = 0, 4, 5 about 3: -2·-3 + -1·1 + 3·2 = 11.
    found = CoMoments.of([1, 2, 6], [0, 4, 5])
    assert found == CoMoments(n=3, mean_y=3.0, m2_y=14.0, mean_x=3.0, m2_x=14.0, c_xy=11.0)
    assert found.covariance == 5.5


def test_a_million_pairs_of_mean_a_million_keep_their_joint_spread_through_a_thousand_random_cuts() -> None:
    rng = np.random.default_rng(20260302)
    x = rng.normal(1e6, 1.0, 1_000_000)
    y = 1e6 + 0.6 * (x - 1e6) + 0.8 * rng.standard_normal(1_000_000)
    cuts = np.sort(rng.choice(np.arange(1, len(x)), 1000, replace=False))
    parts = [
        CoMoments.of(ys.tolist(), xs.tolist()) for ys, xs in zip(np.split(y, cuts), np.split(x, cuts), strict=True)
    ]
    whole = sum((parts[place] for place in rng.permutation(len(parts))), CoMoments.empty())

    wanted = np.cov(y - 1e6, x - 1e6, ddof=1)
    assert whole.n == 1_000_000
    assert whole.mean_y == pytest.approx(float(np.mean(y)), rel=1e-9)
    assert whole.mean_x == pytest.approx(float(np.mean(x)), rel=1e-9)
    assert whole.y.variance == pytest.approx(float(wanted[0, 0]), rel=1e-9)
    assert whole.x.variance == pytest.approx(float(wanted[1, 1]), rel=1e-9)
    assert whole.covariance == pytest.approx(float(wanted[0, 1]), rel=1e-9)


def test_a_constant_column_merged_in_parts_is_no_contradiction() -> None:
    parts = [CoMoments.of([0.1 * place, 7.0], [0.1, 0.1 + 0.2 - 0.2]) for place in range(100)]
    assert sum(parts, CoMoments.empty()).n == 200


def test_nothing_stands_in_for_a_covariance_that_is_unknown() -> None:
    assert CoMoments.empty().covariance is None
    assert CoMoments.of([7.0], [8.0]).covariance is None


@pytest.mark.parametrize(
    ("n", "mean_y", "m2_y", "mean_x", "m2_x", "c_xy"),
    [
        (-1, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0, 0.0, 0.0, 1.0, 0.0, 0.0),
        (1, 5.0, 0.0, 5.0, 0.0, 1.0),
        (5, 1.0, 1.0, 1.0, -1.0, 0.0),
        (5, 1.0, 1.0, 1.0, 1.0, 1.1),
        (5, 1.0, 1.0, 1.0, 1.0, -1.1),
        (5, 1.0, 1.0, 1.0, 1.0, math.nan),
        (5, math.inf, 1.0, 1.0, 1.0, 0.0),
    ],
)
def test_co_moments_that_no_pairs_have_cannot_be_made(
    n: int, mean_y: float, m2_y: float, mean_x: float, m2_x: float, c_xy: float
) -> None:
    with pytest.raises(ValueError):
        CoMoments(n=n, mean_y=mean_y, m2_y=m2_y, mean_x=mean_x, m2_x=m2_x, c_xy=c_xy)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError):
        CoMoments.of([1.0, 2.0], [1.0])
