"""The comparison: its check values and its gates. That no look, ramp or canary misleads: test_simulations.py."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm, Inconclusive, Reason, cuped_theta
from balancer.stats.comoments import CoMoments
from balancer.stats.compare import Comparison, Stratum, alpha_each, compare
from balancer.stats.moments import Moments

Found = Comparison | Inconclusive


def rates(control: tuple[int, int], treatment: tuple[int, int], phase: int = 1) -> Stratum:
    """Return a phase from (converted, visitors) of both arms."""
    return Stratum(phase=phase, control=Arm.of_rate(*control), treatment=Arm.of_rate(*treatment))


def compared(*strata: Stratum, alpha: float = 0.05) -> Found:
    """Return the comparison with N* of 5,000."""
    return compare(strata, alpha=alpha, expected_visitors=5000)


def shown(found: Found) -> Comparison:
    """Return the comparison, which must not be inconclusive."""
    assert isinstance(found, Comparison)
    return found


def excludes_zero(found: Found) -> bool:
    """Tell whether a difference is shown."""
    return isinstance(found, Comparison) and not found.low <= 0 <= found.high


def test_the_check_value_of_one_phase_comes_out() -> None:
    found = shown(compared(rates((500, 10_000), (590, 10_000))))
    assert found.difference == pytest.approx(0.009)
    assert (found.low, found.high) == pytest.approx((-0.00103747, 0.01903747), abs=5e-9)
    assert (found.visitors, found.used, found.left_out) == (20_000, (1,), ())
    assert found.p > 0.05


def test_the_check_value_of_two_phases_comes_out() -> None:
    strata = rates((50, 900), (5, 100)), rates((50, 500), (60, 500), phase=2)
    found = shown(compared(*strata))
    assert found.difference == pytest.approx(0.0072222, abs=5e-8)
    assert math.sqrt(sum(each.se2 / 4 for each in strata)) == pytest.approx(0.0152491, abs=5e-8)
    assert found.se == pytest.approx(0.0155773, abs=5e-8)  # in the first phase the common variance is the larger one
    assert found.used == (1, 2)


def test_the_standard_error_is_that_of_the_own_variances_or_of_their_common_one_whichever_is_larger() -> None:
    lacks, has = rates((500, 9000), (20, 1000)), rates((500, 9000), (90, 1000))
    for stratum in (lacks, has):
        own = stratum.control.se2 + stratum.treatment.se2
        ones = stratum.conversions - 500
        m2 = 500 * 8500 / 9000 + ones * (1000 - ones) / 1000
        common = m2 / 9998 * (1 / 9000 + 1 / 1000)
        assert stratum.se2 == pytest.approx(own, rel=1e-12)
        assert stratum.cautious_se2 == pytest.approx(max(own, common), rel=1e-12)
        assert (common > own) == (stratum is lacks)


def test_at_even_weights_the_common_variance_is_the_own_ones() -> None:
    stratum = rates((500, 9000), (90, 9000))
    assert stratum.cautious_se2 == pytest.approx(stratum.se2, rel=1e-12)


def larger_se2(*raw: npt.NDArray[np.float64]) -> float:
    """Return the squared standard error of the difference of two arms, by their own variances or the common one."""
    common = sum(((each - each.mean()) ** 2).sum() for each in raw) / (sum(map(len, raw)) - 2)
    return max(sum(float(each.var(ddof=1)) / len(each) for each in raw), sum(float(common) / len(each) for each in raw))


def test_values_are_compared_like_the_raw_data_they_came_from() -> None:
    rng = np.random.default_rng(5)
    raw = [rng.lognormal(1.0, 1.0, n) * (rng.random(n) < 0.3) for n in (800, 700, 400, 900)]
    arms = [Arm(moments=Moments.of(each.tolist()), conversions=int(np.count_nonzero(each))) for each in raw]
    found = shown(
        compared(
            Stratum(phase=1, control=arms[0], treatment=arms[1]),
            Stratum(phase=2, control=arms[2], treatment=arms[3]),
        )
    )
    weights = np.array([1500, 1300]) / 2800
    differences = np.array([raw[1].mean() - raw[0].mean(), raw[3].mean() - raw[2].mean()])
    squares = np.array([larger_se2(raw[c], raw[c + 1]) for c in (0, 2)])
    assert found.difference == pytest.approx(weights @ differences)
    assert found.se == pytest.approx(math.sqrt(weights**2 @ squares))


@given(st.integers(100, 5000), st.integers(100, 5000), st.integers(0, 100), st.integers(0, 100))
def test_the_interval_excludes_zero_exactly_where_p_is_at_most_alpha(n: int, m: int, x: int, y: int) -> None:
    found = compared(rates((x, n), (y, m)))
    if isinstance(found, Comparison):
        assert excludes_zero(found) == (found.p <= found.alpha)
        turned = shown(compared(rates((y, m), (x, n))))
        assert (turned.low, turned.high, turned.p) == pytest.approx((-found.high, -found.low, found.p))


def test_the_evidence_and_the_mean_of_the_control_stand_beside_the_difference() -> None:
    found = shown(compared(rates((50, 900), (5, 100)), rates((50, 500), (60, 500), phase=2)))
    assert found.control_mean == pytest.approx((50 / 900 + 50 / 500) / 2)
    assert found.log_e is not None
    assert found.p == min(1.0, math.exp(-found.log_e))
    assert not found.excludes_zero
    assert shown(compared(rates((500, 10_000), (700, 10_000)))).excludes_zero
    assert shown(compared(rates((700, 10_000), (500, 10_000)))).excludes_zero


def test_ratios_are_compared_within_phases_and_a_phase_without_a_denominator_is_left_out() -> None:
    rng = np.random.default_rng(9)
    orders = [rng.poisson(0.5, 2000) for _ in range(4)]
    money = [count * 20.0 + rng.normal(0, 3, 2000) * (count > 0) for count in orders]
    ratios = [
        Arm.of_ratio(CoMoments.of(y.tolist(), x.tolist()), int(np.count_nonzero(x)))
        for y, x in zip(money, orders, strict=True)
    ]
    nothing = Arm.of_ratio(CoMoments.empty().with_zeros(2000), 0)
    both = Stratum(phase=1, control=ratios[0], treatment=ratios[1])
    found = shown(compared(both, Stratum(phase=2, control=ratios[2], treatment=nothing)))

    assert (found.used, found.left_out) == ((1,), (2,))
    assert found.difference == pytest.approx(money[1].sum() / orders[1].sum() - money[0].sum() / orders[0].sum())
    assert compared(Stratum(phase=1, control=nothing, treatment=nothing)) == Inconclusive(reason=Reason.NO_DENOMINATOR)


def test_what_was_known_before_narrows_the_interval_and_moves_no_truth() -> None:
    rng = np.random.default_rng(10)
    before = [rng.gamma(2.0, 5.0, 3000) for _ in (0, 1)]
    after = [x + rng.normal(5.0 + 0.3 * arm, 2.0, 3000) for arm, x in enumerate(before)]
    cells = [CoMoments.of(y.tolist(), x.tolist()) for y, x in zip(after, before, strict=True)]
    theta, grand = cuped_theta([cells]), (cells[0] + cells[1]).mean_x
    plain = shown(
        compared(Stratum(phase=1, control=Arm.of_values(cells[0].y, 3000), treatment=Arm.of_values(cells[1].y, 3000)))
    )
    adjusted = shown(
        compared(
            Stratum(
                phase=1,
                control=Arm.of_adjusted(cells[0], 3000, theta, grand),
                treatment=Arm.of_adjusted(cells[1], 3000, theta, grand),
            )
        )
    )
    assert adjusted.se < 0.35 * plain.se
    assert adjusted.low < 0.3 < adjusted.high
    assert adjusted.low > 0 > plain.low


def test_a_phase_with_too_little_in_an_arm_is_left_out_and_named() -> None:
    whole = rates((500, 10_000), (590, 10_000), phase=2)
    few_visitors, few_conversions = rates((50, 900), (20, 99)), rates((10, 990), (1, 110), phase=3)
    found = shown(compared(few_visitors, whole, few_conversions))
    assert (found.used, found.left_out) == ((2,), (1, 3))
    assert found.difference == shown(compared(whole)).difference
    assert found.visitors == 20_000


@pytest.mark.parametrize(
    ("strata", "reason"),
    [
        ((), Reason.FEW_VISITORS),
        ((rates((0, 0), (0, 0)),), Reason.FEW_VISITORS),
        ((rates((90, 99), (90, 1000)),), Reason.FEW_VISITORS),
        ((rates((0, 500), (0, 500)),), Reason.FEW_CONVERSIONS),
        ((rates((25, 500), (24, 500)),), Reason.FEW_CONVERSIONS),
        ((rates((500, 9900), (6, 100)),), Reason.FEW_CONVERSIONS),
        ((rates((200, 200), (300, 300)),), Reason.NO_SPREAD),
        ((rates((200, 200), (0, 200)),), Reason.NO_SPREAD),
    ],
)
def test_too_little_for_a_comparison_is_said_with_the_reason(strata: tuple[Stratum, ...], reason: Reason) -> None:
    assert compared(*strata) == Inconclusive(reason=reason)


def test_a_hundred_visitors_an_arm_and_fifty_conversions_in_all_are_enough() -> None:
    assert isinstance(compared(rates((25, 100), (25, 100))), Comparison)
    assert isinstance(compared(rates((50, 100), (0, 100))), Comparison)


def test_each_comparison_of_several_arms_gets_its_part_of_alpha() -> None:
    assert alpha_each(0.05, 2) == 0.05
    assert alpha_each(0.05, 6) == pytest.approx(0.01)
    stratum = rates((500, 10_000), (590, 10_000))
    of_many, of_two = shown(compared(stratum, alpha=alpha_each(0.05, 4))), shown(compared(stratum))
    assert of_many.low < of_two.low
    with pytest.raises(ValueError, match="at least 2"):
        alpha_each(0.05, 1)


def test_a_comparison_lies_in_its_interval() -> None:
    with pytest.raises(ValueError, match="no comparison"):
        Comparison(
            difference=2.0,
            se=1.0,
            control_mean=1.0,
            low=-1.0,
            high=1.0,
            log_e=0.0,
            p=1.0,
            alpha=0.05,
            visitors=200,
            used=(1,),
            left_out=(),
        )
