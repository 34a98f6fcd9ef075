"""Moments: adding is pooling, in any order, and no digits are lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.moments import Moments

VALUES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=30)


def close(found: Moments, wanted: Moments) -> bool:
    """Tell whether both are the same to rounding, for values within ±10⁶."""
    return (
        found.n == wanted.n
        and math.isclose(found.mean, wanted.mean, rel_tol=1e-9, abs_tol=1e-6)
        and math.isclose(found.m2, wanted.m2, rel_tol=1e-9, abs_tol=1e-2)
    )


@given(VALUES, VALUES)
def test_adding_is_pooling(left: list[float], right: list[float]) -> None:
    assert close(Moments.of(left) + Moments.of(right), Moments.of(left + right))


@given(VALUES, VALUES, VALUES)
def test_the_order_of_adding_does_not_matter(first: list[float], second: list[float], third: list[float]) -> None:
    a, b, c = Moments.of(first), Moments.of(second), Moments.of(third)
    assert close(a + (b + c), (c + a) + b)


@given(VALUES)
def test_adding_no_values_changes_nothing(values: list[float]) -> None:
    moments = Moments.of(values)
    assert moments + Moments.empty() == moments == Moments.empty() + moments


@given(VALUES, st.integers(0, 50))
def test_zeros_count_as_values(values: list[float], zeros: int) -> None:
    assert close(Moments.of(values).with_zeros(zeros), Moments.of(values + [0.0] * zeros))


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_proportion_has_the_moments_of_its_ones_and_zeros(ones: int, zeros: int) -> None:
    assert close(Moments.of_proportion(ones, ones + zeros), Moments.of([1.0] * ones + [0.0] * zeros))


def test_a_million_values_of_mean_a_million_keep_their_spread_through_a_thousand_random_cuts() -> None:
    rng = np.random.default_rng(20260301)
    values = rng.normal(1e6, 1.0, 1_000_000)
    cuts = np.sort(rng.choice(np.arange(1, len(values)), 1000, replace=False))
    parts = [Moments.of(part.tolist()) for part in np.split(values, cuts)]
    whole = sum((parts[place] for place in rng.permutation(len(parts))), Moments.empty())

    assert whole.n == len(values)
    assert whole.mean == pytest.approx(float(np.mean(values)), rel=1e-9)
    assert whole.variance == pytest.approx(float(np.var(values - 1e6, ddof=1)), rel=1e-9)
    assert whole.sd == pytest.approx(float(np.std(values - 1e6, ddof=1)), rel=1e-9)


def test_nothing_stands_in_for_a_variance_that_is_unknown() -> None:
    assert Moments.empty().variance is None
    assert Moments.of([7.0]).sd is None
    assert Moments.of([7.0, 7.0]).sd == 0.0


@pytest.mark.parametrize(
    ("n", "mean", "m2"),
    [
        (-1, 0.0, 0.0),
        (0, 1.0, 0.0),
        (0, 0.0, 1.0),
        (1, 5.0, 1.0),
        (5, 1.0, -1.0),
        (5, math.nan, 1.0),
        (5, 1.0, math.inf),
    ],
)
def test_moments_that_no_values_have_cannot_be_made(n: int, mean: float, m2: float) -> None:
    with pytest.raises(ValueError):
        Moments(n=n, mean=mean, m2=m2)


def test_more_successes_than_trials_or_fewer_zeros_than_none_are_refused() -> None:
    with pytest.raises(ValueError, match="3 successes among 2"):
        Moments.of_proportion(3, 2)
    with pytest.raises(ValueError, match="-1 values"):
        Moments.empty().with_zeros(-1)
