"""Planning: the figures others give, the sample that a simulation needs, and what is still needed."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm
from balancer.stats.compare import Comparison, Stratum, compare
from balancer.stats.power import Baseline, Plan, Sample, still_needed
from balancer.stats.sequential import ConfidenceSequence

RATES = st.floats(0.01, 0.8)
EFFECTS = st.floats(0.002, 0.15)


def of_rate(rate: float, *weights: int, power: float = 0.8) -> Plan:
    """Return the plan of a rate."""
    return Plan(baseline=Baseline.of_rate(rate), weights=weights or (1, 1), power=power)


def compared(control: tuple[int, int], treatment: tuple[int, int], alpha: float = 0.05) -> Comparison:
    """Return the comparison of (converted, visitors) with N* of 5,000, which must not be inconclusive."""
    stratum = Stratum(phase=1, control=Arm.of_rate(*control), treatment=Arm.of_rate(*treatment))
    found = compare([stratum], alpha=alpha, expected_visitors=5000)
    assert isinstance(found, Comparison)
    return found


def test_five_points_on_twenty_percent_need_the_1030_visitors_an_arm_of_evan_miller() -> None:
    assert of_rate(0.2).fixed(0.05) == Sample(visitors=(1030, 1030))


def test_a_tenth_of_an_sd_needs_the_visitors_of_the_textbook() -> None:
    # (1.959964 + 0.841621)² · 2 · 10² = 1569.8 an arm
    assert Plan(baseline=Baseline.of_mean(50.0, 10.0)).fixed(-1.0) == Sample(visitors=(1570, 1570))


def test_unequal_weights_need_more_visitors_in_all_and_share_them_by_the_weights() -> None:
    # (1.959964 + 0.841621)² · 10² · (1/0.9 + 1/0.1) / 1² = 8721 in all
    uneven = Plan(baseline=Baseline.of_mean(50.0, 10.0), weights=(9, 1)).fixed(1.0)
    assert uneven == Sample(visitors=(7849, 872))


def test_of_several_treatments_the_one_with_the_least_weight_decides_at_its_part_of_alpha() -> None:
    # z for 0.05/2: 2.241403
    three = Plan(baseline=Baseline.of_mean(50.0, 10.0), weights=(2, 1, 1)).fixed(1.0)
    assert three.total == pytest.approx((2.241403 + 0.841621) ** 2 * 100 * (1 / 0.5 + 1 / 0.25), abs=2)
    assert three.visitors[1] == three.visitors[2]


@pytest.mark.parametrize(("rate", "effect", "looks"), [(0.2, 0.02, 14), (0.05, 0.01, 14), (0.05, 0.005, 100)])
def test_the_always_valid_sample_shows_the_effect_as_often_as_planned(rate: float, effect: float, looks: int) -> None:
    runs = 2000
    plan = of_rate(rate)
    per_arm = plan.always_valid(effect, expected_visitors=5000, looks=looks).visitors[0]
    every = per_arm / looks
    ends = [round(every * look) for look in range(looks + 1)]
    rng = np.random.default_rng(16)
    arms = [
        np.stack([rng.binomial(end - begin, p, runs) for begin, end in itertools.pairwise(ends)]).cumsum(axis=0)
        for p in (rate, rate + effect)
    ]
    n = np.array(ends[1:])[:, None]
    control, treatment = arms[0] / n, arms[1] / n
    se = np.sqrt((control * (1 - control) + treatment * (1 - treatment)) / (n - 1))
    sequence = ConfidenceSequence(alpha=0.05, expected_visitors=5000)
    widths = np.array([sequence.half_width(1.0, 2 * end) for end in ends[1:]])[:, None]
    shown = (treatment - control > se * widths).any(axis=0).mean()
    print(f"{rate:.0%} + {effect:.1%}, {looks} looks, {per_arm} an arm: shown in {shown:.1%}")
    assert 0.78 <= shown <= 0.84


def test_looking_as_one_likes_costs_about_1_7_times_the_visitors() -> None:
    plan = Plan(baseline=Baseline.of_mean(0.0, 1.0))
    for effect in (0.1, 0.02, 0.005):
        fixed = plan.fixed(effect).total
        assert 1.6 <= plan.always_valid(effect, expected_visitors=fixed, looks=1000).total / fixed <= 1.7
        assert 1.7 <= plan.always_valid(effect, expected_visitors=fixed).total / fixed <= 1.8


@given(RATES, EFFECTS, st.integers(1, 20), st.integers(1, 20))
def test_the_smallest_effect_of_a_sample_is_the_one_whose_sample_it_is(
    rate: float, effect: float, c: int, t: int
) -> None:
    plan = of_rate(rate, c, t)
    total = plan.fixed(effect).total
    if total > 1000:
        assert plan.smallest_fixed(total) == pytest.approx(effect, rel=0.01)
    total = plan.always_valid(effect, expected_visitors=5000).total
    if total > 1000:
        assert plan.smallest_always_valid(total, expected_visitors=5000) == pytest.approx(effect, rel=0.01)


def test_a_sample_that_shows_no_effect_whatever_has_no_smallest_one() -> None:
    assert of_rate(0.9).smallest_fixed(20) is None
    assert of_rate(0.9).smallest_always_valid(20, expected_visitors=5000) is None


@given(RATES, EFFECTS, EFFECTS)
def test_a_larger_effect_needs_no_more_visitors(rate: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    plan = Plan(baseline=Baseline.of_mean(rate, 1.0))
    assert plan.fixed(more).total <= plan.fixed(less).total
    assert (
        plan.always_valid(more, expected_visitors=5000).total <= plan.always_valid(less, expected_visitors=5000).total
    )
    assert of_rate(rate, power=0.9).fixed(less).total >= of_rate(rate).fixed(less).total


def test_days_are_whole_days() -> None:
    assert Sample(visitors=(1030, 1030)).days(206) == 10
    assert Sample(visitors=(1030, 1030)).days(205.9) == 11
    with pytest.raises(ValueError, match="more than 0"):
        Sample(visitors=(1030, 1030)).days(0)


def test_what_is_still_needed_is_what_makes_the_interval_leave_zero_out() -> None:
    found = compared((500, 10_000), (590, 10_000))
    more = still_needed(found, expected_visitors=5000)
    assert more is not None
    sequence = ConfidenceSequence(alpha=0.05, expected_visitors=5000)

    def low(visitors: int) -> float:
        return found.difference - sequence.half_width(found.se * math.sqrt(20_000 / visitors), visitors)

    assert low(20_000 + more) > 0 >= low(20_000 + more - 1)


def test_nothing_is_still_needed_where_the_difference_is_shown_or_hopeless() -> None:
    assert still_needed(compared((500, 10_000), (700, 10_000)), expected_visitors=5000) is None
    assert still_needed(compared((700, 10_000), (500, 10_000)), expected_visitors=5000) is None
    assert still_needed(compared((500, 10_000), (501, 10_000)), expected_visitors=5000) is None
    assert still_needed(compared((500, 10_000), (500, 10_000)), expected_visitors=5000) is None
    once = replace(compared((500, 10_000), (590, 10_000)), log_e=None)
    assert still_needed(once, expected_visitors=5000) is None


def test_plans_that_cannot_be_are_refused() -> None:
    for rate in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Baseline.of_rate(rate)
    with pytest.raises(ValueError, match="above 0"):
        Baseline.of_mean(5.0, 0.0)
    with pytest.raises(ValueError, match="two or more"):
        of_rate(0.2, 1, 0)
    with pytest.raises(ValueError, match="alpha < power"):
        of_rate(0.2, power=0.01)
    with pytest.raises(ValueError, match="differ from 0"):
        of_rate(0.2).fixed(0.0)
    with pytest.raises(ValueError, match="no rate"):
        of_rate(0.2).always_valid(-0.3, expected_visitors=5000)
