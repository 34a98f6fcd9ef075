"""The fixed-horizon comparison: scipy's figures, one look in twenty wrong, with the phases and gates of the other."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm, Inconclusive, Reason
from balancer.stats.compare import Comparison, Stratum
from balancer.stats.fixed import compare_once, critical_value, two_sided_p
from balancer.stats.moments import Moments


def rates(control: tuple[int, int], treatment: tuple[int, int], phase: int = 1) -> Stratum:
    """Return a phase from (converted, visitors) of both arms."""
    return Stratum(phase=phase, control=Arm.of_rate(*control), treatment=Arm.of_rate(*treatment))


def shown(found: Comparison | Inconclusive) -> Comparison:
    """Return the comparison, which must not be inconclusive."""
    assert isinstance(found, Comparison)
    return found


def test_the_z_test_of_two_rates_comes_out() -> None:
    # z = 0.009 / √(0.05·0.95/9999 + 0.059·0.941/9999) = 2.8039
    found = shown(compare_once([rates((500, 10_000), (590, 10_000))], alpha=0.05))
    se = math.sqrt((0.05 * 0.95 + 0.059 * 0.941) / 9999)
    assert found.difference == pytest.approx(0.009)
    assert found.se == pytest.approx(se)
    assert (found.low, found.high) == pytest.approx((0.009 - 1.959964 * se, 0.009 + 1.959964 * se), abs=1e-8)
    assert found.p == pytest.approx(2 * scipy.stats.norm.sf(0.009 / se))
    assert (found.visitors, found.used) == (20_000, (1,))
    assert found.log_e is None
    assert found.control_mean == pytest.approx(0.05)


def test_the_means_of_two_columns_give_the_p_of_welch_but_for_the_normal_distribution() -> None:
    rng = np.random.default_rng(14)
    raw = rng.lognormal(1.0, 1.0, 900), rng.lognormal(1.1, 1.0, 700)
    arms = [Arm.of_values(Moments.of(each.tolist()), len(each)) for each in raw]
    found = shown(compare_once([Stratum(phase=1, control=arms[0], treatment=arms[1])], alpha=0.05))
    welch = scipy.stats.ttest_ind(raw[1], raw[0], equal_var=False)
    assert found.difference / found.se == pytest.approx(welch.statistic)
    assert found.p == pytest.approx(welch.pvalue, rel=0.02)


def test_phases_are_put_together_as_in_the_always_valid_comparison() -> None:
    found = shown(compare_once([rates((50, 900), (5, 100)), rates((50, 500), (60, 500), phase=2)], alpha=0.05))
    assert found.difference == pytest.approx(0.0072222, abs=5e-8)
    assert found.se == pytest.approx(0.0152491, abs=5e-8)


@given(st.integers(100, 5000), st.integers(100, 5000), st.integers(0, 100), st.integers(0, 100))
def test_the_interval_excludes_zero_exactly_where_p_is_at_most_alpha(n: int, m: int, x: int, y: int) -> None:
    found = compare_once([rates((x, n), (y, m))], alpha=0.05)
    if isinstance(found, Comparison):
        assert (not found.low <= 0 <= found.high) == (found.p <= found.alpha)


def test_nothing_differs_and_one_look_in_twenty_says_it_does() -> None:
    counts = np.random.default_rng(15).binomial(2000, 0.1, (4000, 2)).tolist()
    found = [shown(compare_once([rates((x, 2000), (y, 2000))], alpha=0.05)) for x, y in counts]
    alarms = sum(each.p <= 0.05 for each in found) / len(found)
    print(f"fixed horizon, A/A, one look: {alarms:.1%}")
    assert 0.04 <= alarms <= 0.06


def test_too_little_for_a_comparison_is_said_with_the_reason() -> None:
    assert compare_once([rates((90, 99), (90, 1000))], alpha=0.05) == Inconclusive(reason=Reason.FEW_VISITORS)
    assert compare_once([rates((200, 200), (0, 200))], alpha=0.05) == Inconclusive(reason=Reason.NO_SPREAD)


def test_an_alpha_that_is_no_probability_is_refused() -> None:
    for alpha in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            compare_once([], alpha=alpha)


def test_the_normal_distribution_is_that_of_the_tables() -> None:
    assert critical_value(0.05) == pytest.approx(1.959964, abs=5e-7)
    assert critical_value(0.01) == pytest.approx(2.575829, abs=5e-7)
    assert two_sided_p(0.0) == 1.0
    assert two_sided_p(-1.959963984540054) == pytest.approx(0.05)
    assert two_sided_p(20.0) == pytest.approx(2 * scipy.stats.norm.sf(20.0))
