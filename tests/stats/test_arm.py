"""One arm: its interval holds at every look, or there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import (
    CONVERSIONS_FOR_INTERVAL,
    Arm,
    Inconclusive,
    Interval,
    Reason,
    cuped_theta,
    interval,
    rate_interval,
)
from balancer.stats.comoments import CoMoments
from balancer.stats.moments import Moments
from balancer.stats.sequential import ConfidenceSequence


def rate(converted: int, visitors: int) -> Interval | Inconclusive:
    """Return the interval of a rate at 5 %."""
    return rate_interval(converted, visitors, alpha=0.05, expected_visitors=5000)


def test_the_interval_of_a_mean_is_the_sequence_around_it() -> None:
    values = [float(value % 7) for value in range(2000)]
    arm = Arm(moments=Moments.of(values), conversions=sum(value != 0 for value in values))
    found = interval(arm, alpha=0.05, expected_visitors=5000)

    se = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    half = ConfidenceSequence(alpha=0.05, expected_visitors=5000).half_width(se, 2000)
    assert isinstance(found, Interval)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_a_rate_lies_in_its_interval_within_zero_and_one_or_there_is_a_reason(ones: int, zeros: int) -> None:
    found = rate(ones, ones + zeros)
    enough = ones + zeros >= 100 and min(ones, zeros) >= CONVERSIONS_FOR_INTERVAL
    if isinstance(found, Interval):
        assert enough
        assert 0 <= found.low < found.mean < found.high <= 1
    else:
        assert not enough


def test_the_interval_of_a_rate_is_cut_at_zero_and_at_one() -> None:
    few, many = rate(25, 100), rate(75, 100)
    assert isinstance(few, Interval)
    assert isinstance(many, Interval)
    assert (few.low, many.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("converted", "visitors", "reason"),
    [
        (0, 0, Reason.FEW_VISITORS),
        (40, 99, Reason.FEW_VISITORS),
        (0, 500, Reason.FEW_CONVERSIONS),
        (24, 500, Reason.FEW_CONVERSIONS),
        (476, 500, Reason.FEW_WITHOUT),
    ],
)
def test_too_little_for_an_interval_is_said_with_the_reason(converted: int, visitors: int, reason: Reason) -> None:
    assert rate(converted, visitors) == Inconclusive(reason=reason)


def test_a_mean_without_spread_has_no_interval() -> None:
    arm = Arm(moments=Moments(n=500, mean=19.99, m2=1e-25), conversions=500)
    assert interval(arm, alpha=0.05, expected_visitors=5000) == Inconclusive(reason=Reason.NO_SPREAD)


@pytest.mark.parametrize("true_rate", [0.002, 0.01, 0.2, 0.995])
def test_a_true_rate_leaves_its_interval_in_five_percent_of_runs_at_most_over_all_looks(true_rate: float) -> None:
    runs, every, looks = 200, 100, 100
    counts = np.random.default_rng(3).binomial(every, true_rate, (runs, looks)).cumsum(axis=1)
    left = 0
    for run in counts.tolist():
        intervals = (rate(count, every * (look + 1)) for look, count in enumerate(run))
        left += any(isinstance(each, Interval) and not each.low <= true_rate <= each.high for each in intervals)
    print(f"a rate of {true_rate:.1%} left its interval in {left / runs:.1%}")
    assert left / runs <= 0.05


def test_a_ratio_has_the_variance_of_the_delta_method() -> None:
    # y = 2, 4, 6 and x = 1, 1, 4 about 4 and 2: s²_y = 4, s²_x = 3, s_xy = 3, R = 2, x̄ = 2.
    arm = Arm.of_ratio(CoMoments.of([2, 4, 6], [1, 1, 4]), conversions=3)
    assert (arm.n, arm.mean) == (3, 2.0)
    assert arm.se2 == pytest.approx((4 - 2 * 2 * 3 + 2**2 * 3) / (2**2 * 3))


def test_the_standard_error_of_a_ratio_is_the_spread_of_the_ratios_of_many_samples() -> None:
    rng = np.random.default_rng(11)
    orders = rng.poisson(2.0, (2000, 1000))
    money = orders * 10.0 + rng.normal(0, 4, orders.shape)
    arm = Arm.of_ratio(
        CoMoments.of(money[0].tolist(), orders[0].tolist()), conversions=int(np.count_nonzero(orders[0]))
    )
    ratios = money.sum(axis=1) / orders.sum(axis=1)
    assert math.sqrt(arm.se2) == pytest.approx(float(ratios.std(ddof=1)), rel=0.1)


def test_a_ratio_of_a_number_to_itself_is_one_without_spread() -> None:
    arm = Arm.of_ratio(CoMoments.of([float(n % 7) for n in range(500)], [float(n % 7) for n in range(500)]), 400)
    assert (arm.mean, arm.se2) == (1.0, 0.0)
    assert interval(arm, alpha=0.05, expected_visitors=5000) == Inconclusive(reason=Reason.NO_SPREAD)


def test_a_ratio_with_nothing_to_divide_by_is_the_reason_and_no_number() -> None:
    arm = Arm.of_ratio(CoMoments.of([1.0] * 500, [0.0] * 500), conversions=0)
    assert arm.lacks is Reason.NO_DENOMINATOR
    assert interval(arm, alpha=0.05, expected_visitors=5000) == Inconclusive(reason=Reason.NO_DENOMINATOR)


def test_an_adjusted_arm_has_the_moments_of_the_adjusted_values() -> None:
    rng = np.random.default_rng(12)
    x = rng.gamma(2.0, 5.0, 500)
    y = 0.7 * x + rng.normal(0, 1, 500)
    arm = Arm.of_adjusted(CoMoments.of(y.tolist(), x.tolist()), 500, theta=0.6, grand_mean_x=9.0)
    adjusted = y - 0.6 * (x - 9.0)
    assert arm.mean == pytest.approx(adjusted.mean())
    assert arm.moments.variance == pytest.approx(adjusted.var(ddof=1))


def test_theta_is_the_slope_within_the_cells_and_not_between_them() -> None:
    # Within each cell the slope is 2; between the cells y falls as x rises.
    low, high = CoMoments.of([10, 12, 14], [0, 1, 2]), CoMoments.of([0, 2, 4], [10, 11, 12])
    assert cuped_theta([[low], [high]]) == cuped_theta([[low, high]]) == 2.0
    assert cuped_theta([[CoMoments.of([1, 2], [3, 3])]]) == 0.0
    assert cuped_theta([]) == 0.0


def test_an_arm_that_lacks_its_number_has_no_moments() -> None:
    with pytest.raises(ValueError, match="have moments, although"):
        Arm(moments=Moments.of([1.0]), conversions=1, lacks=Reason.NO_DENOMINATOR)


def test_an_arm_cannot_have_more_conversions_than_visitors() -> None:
    with pytest.raises(ValueError, match="3 of 2 visitors"):
        Arm(moments=Moments.of([1.0, 2.0]), conversions=3)
    with pytest.raises(ValueError, match="no standard error"):
        _ = Arm.of_rate(1, 1).se2


def test_an_interval_holds_its_mean() -> None:
    with pytest.raises(ValueError, match="must lie between"):
        Interval(mean=0.5, low=0.6, high=0.7, alpha=0.05)
