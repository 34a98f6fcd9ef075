"""The relative lift: its value by hand, that it holds at every look, and that it says when there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm, Inconclusive, Reason
from balancer.stats.compare import Comparison, Stratum, compare
from balancer.stats.lift import Lift, lift
from balancer.stats.moments import Moments
from balancer.stats.sequential import ConfidenceSequence


def rates(control: tuple[int, int], treatment: tuple[int, int], phase: int = 1) -> Stratum:
    """Return a phase from (converted, visitors) of both arms."""
    return Stratum(phase=phase, control=Arm.of_rate(*control), treatment=Arm.of_rate(*treatment))


def lifted(*strata: Stratum) -> Lift | Inconclusive:
    """Return the lift with N* of 5,000 at 5 %."""
    return lift(strata, alpha=0.05, expected_visitors=5000)


def shown(found: Lift | Inconclusive) -> Lift:
    """Return the lift, which must not be inconclusive."""
    assert isinstance(found, Lift)
    return found


def test_the_lift_of_one_phase_is_that_of_the_formula() -> None:
    found = shown(lifted(rates((500, 10_000), (590, 10_000))))
    control, treatment = 0.05 * 0.95 / 9999, 0.059 * 0.941 / 9999
    se = math.sqrt(treatment / 0.059**2 + control / 0.05**2)
    half = ConfidenceSequence(alpha=0.05, expected_visitors=5000).half_width(se, 20_000)
    assert found.lift == pytest.approx(0.18)
    assert found.low == pytest.approx(1.18 * math.exp(-half) - 1)
    assert found.high == pytest.approx(1.18 * math.exp(half) - 1)


def test_over_phases_the_lift_times_the_mean_of_the_control_is_the_difference() -> None:
    strata = rates((50, 900), (5, 100)), rates((50, 500), (60, 500), phase=2)
    compared = compare(strata, alpha=0.05, expected_visitors=5000)
    assert isinstance(compared, Comparison)
    assert shown(lifted(*strata)).lift * compared.control_mean == pytest.approx(compared.difference)


@given(st.integers(100, 5000), st.integers(100, 5000), st.floats(0.02, 0.9), st.floats(0.02, 0.9))
def test_the_lift_the_other_way_round_is_the_reciprocal(n: int, m: int, a: float, b: float) -> None:
    control, treatment = (int(n * a), n), (int(m * b), m)
    there, back = lifted(rates(control, treatment)), lifted(rates(treatment, control))
    if isinstance(there, Inconclusive):
        assert there == back
    else:
        back = shown(back)
        assert (1 + there.lift) * (1 + back.lift) == pytest.approx(1)
        assert (1 + there.low) * (1 + back.high) == pytest.approx(1)


def test_a_lift_on_a_mean_that_is_not_above_zero_is_said_with_the_reason() -> None:
    loss = Arm.of_values(Moments(n=1000, mean=-0.5, m2=900.0), 900)
    gain = Arm.of_values(Moments(n=1000, mean=0.5, m2=900.0), 900)
    nothing = Arm.of_rate(0, 1000)
    for control, treatment in ((loss, gain), (gain, loss), (nothing, gain), (gain, nothing)):
        found = lifted(Stratum(phase=1, control=control, treatment=treatment))
        assert found == Inconclusive(reason=Reason.NOT_POSITIVE)


def test_too_little_for_a_comparison_is_too_little_for_a_lift() -> None:
    assert lifted(rates((90, 99), (90, 1000))) == Inconclusive(reason=Reason.FEW_VISITORS)
    assert lifted(rates((25, 500), (24, 500))) == Inconclusive(reason=Reason.FEW_CONVERSIONS)


def test_an_interval_too_wide_for_a_number_is_no_lift() -> None:
    wild = Arm.of_values(Moments(n=1000, mean=1e-9, m2=1e9), 1000)
    found = lifted(Stratum(phase=1, control=wild, treatment=wild))
    assert found == Inconclusive(reason=Reason.NOT_POSITIVE)


def test_a_true_lift_leaves_its_interval_in_five_percent_of_runs_at_most_over_all_looks() -> None:
    runs, every, looks, left = 200, 100, 50, 0
    rng = np.random.default_rng(13)
    counts = np.stack([rng.binomial(every, rate, (runs, looks)).cumsum(axis=1) for rate in (0.1, 0.12)], axis=-1)
    for run in counts.tolist():
        found = [lifted(rates((x, every * look), (y, every * look))) for look, (x, y) in enumerate(run, start=1)]
        left += any(isinstance(each, Lift) and not each.low <= 0.2 <= each.high for each in found)
    print(f"a lift of 20 % left its interval in {left / runs:.1%}")
    assert left / runs <= 0.05


def test_of_revenue_aa_tests_more_alarm_by_the_lift_than_by_the_difference_so_it_decides_nothing() -> None:
    runs, every, looks = 1000, 50, 200
    n = every * np.arange(1, looks + 1)
    rng = np.random.default_rng(20)
    means, squares, conversions = [], [], np.zeros((runs, looks), dtype=np.int64)
    for _ in range(2):
        buyers = rng.binomial(every, 0.05, (runs, looks))
        spent = rng.lognormal(3.0, 1.5, int(buyers.sum()))
        block = np.repeat(np.arange(buyers.size), buyers.ravel())
        total, square = (
            np.bincount(block, weights, buyers.size).reshape(runs, looks).cumsum(axis=1)
            for weights in (spent, spent**2)
        )
        means.append(total / n)
        squares.append((square - total**2 / n) / (n - 1) / n)
        conversions += buyers.cumsum(axis=1)
    looked = (n >= 100) & (conversions >= 50)
    sequence = ConfidenceSequence(alpha=0.05, expected_visitors=5000)
    widths = np.array([sequence.half_width(1.0, int(2 * each)) for each in n])
    with np.errstate(divide="ignore", invalid="ignore"):
        by_difference = np.abs(means[1] - means[0]) > widths * np.sqrt(squares[0] + squares[1])
        error = np.sqrt(squares[0] / means[0] ** 2 + squares[1] / means[1] ** 2)
        by_lift = np.abs(np.log(means[1] / means[0])) > widths * error
        quotient_error = np.sqrt(squares[1] / means[0] ** 2 + means[1] ** 2 * squares[0] / means[0] ** 4)
        by_quotient = np.abs(means[1] / means[0] - 1) > widths * quotient_error
    difference, logarithm, quotient = (
        (found & looked).any(axis=1).mean() for found in (by_difference, by_lift, by_quotient)
    )
    print(f"A/A, skewed revenue: difference {difference:.1%}, our lift {logarithm:.1%}, plain quotient {quotient:.1%}")
    assert difference <= 0.05
    assert difference < logarithm < 0.10 < quotient


def test_a_lift_lies_in_its_interval() -> None:
    with pytest.raises(ValueError, match="no lift"):
        Lift(lift=0.5, low=0.6, high=0.7, alpha=0.05)
