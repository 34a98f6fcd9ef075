"""The bandit's chances: by phases, without draws, and none where data cannot carry one."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm, Inconclusive, Reason
from balancer.stats.bandit import Chances, PhaseArms, chances, that_count, will_carry
from balancer.stats.compare import Stratum, pool
from balancer.stats.verdict import Direction
from simulations.bandits import naive


def phase(number: int, *arms: tuple[int, int]) -> PhaseArms:
    """Return a phase whose arms have so many converted of so many visitors."""
    return PhaseArms(phase=number, arms=tuple(Arm.of_rate(*arm) for arm in arms))


def known(phases: list[PhaseArms], direction: Direction = Direction.HIGHER) -> Chances:
    """Return the chances, which there have to be."""
    found = chances(phases, direction)
    assert isinstance(found, Chances)
    return found


CONVERTED = st.integers(30, 200)


def test_the_chance_of_two_arms_is_that_of_their_difference() -> None:
    found = known([phase(1, (100, 1000), (130, 1000))])
    # Two rates of 0.100 and 0.130, variances 90/999 and 113.1/999, and 0.1019 in common, which is less and more.
    one, other = found.posteriors
    assert (one.mean, other.mean) == (0.1, 0.13)
    assert one.se == pytest.approx(math.sqrt((90 + 113.1) / 1998 / 1000), rel=1e-12), "the variance in common"
    assert other.se == pytest.approx(math.sqrt(113.1 / 999 / 1000), rel=1e-12)
    assert found.best[1] == pytest.approx(NormalDist().cdf(0.03 / math.hypot(one.se, other.se)), rel=1e-12)
    assert math.fsum(found.best) == 1


@given(CONVERTED, CONVERTED, CONVERTED)
def test_where_lower_is_better_the_chances_are_those_of_the_signs_turned(one: int, two: int, three: int) -> None:
    few, many = phase(1, (one, 400), (two, 400), (three, 400)), phase(1, *((400 - x, 400) for x in (one, two, three)))
    assert known([few], Direction.LOWER).best == pytest.approx(known([many]).best, abs=1e-9)


def test_lower_is_better_prefers_the_lower_mean() -> None:
    data = [phase(1, (60, 1000), (90, 1000))]
    assert known(data, Direction.LOWER).best[0] > 0.99 > 0.01 > known(data).best[0]


def test_the_difference_is_the_one_that_the_report_shows() -> None:
    data = [phase(1, (100, 1800), (10, 200)), phase(2, (50, 500), (60, 500))]
    strata = [Stratum(phase=each.phase, control=each.arms[0], treatment=each.arms[1]) for each in data]
    pooled = pool(strata)
    assert not isinstance(pooled, Inconclusive)
    # Two thirds of −0.0055556 and a third of 0.02.
    one, other = known(data).posteriors
    assert other.mean - one.mean == pytest.approx(pooled.difference, rel=1e-12)
    assert other.mean - one.mean == pytest.approx(0.0029630, abs=5e-8)


def test_a_rate_that_changes_while_weights_change_does_not_turn_the_answer() -> None:
    # In each phase the second arm is better by a tenth; it has its visitors where everybody's rate is low.
    data = [phase(1, (1800, 9000), (220, 1000)), phase(2, (50, 1000), (495, 9000))]
    assert known(data).best[1] > 0.9
    thrown_together = naive(data, Direction.HIGHER)
    assert isinstance(thrown_together, Chances)
    assert thrown_together.best[1] < 1e-6


def test_phases_with_too_little_in_any_arm_are_left_out() -> None:
    data = [phase(1, (60, 500), (70, 500)), phase(2, (9, 99), (900, 1000)), phase(3, (0, 400), (1, 400))]
    found = known(data)
    assert (found.used, found.left_out) == ((1,), (2, 3))
    assert found.posteriors[1].mean == 0.14


@pytest.mark.parametrize(
    ("arms", "reason"),
    [
        (((9, 99), (90, 1000)), Reason.FEW_VISITORS),
        (((1, 400), (1, 400)), Reason.FEW_CONVERSIONS),
        (((10, 400), (20, 400)), Reason.FEW_CONVERSIONS),
        (((400, 400), (400, 400)), Reason.NO_SPREAD),
    ],
)
def test_where_data_cannot_carry_it_there_is_a_reason_and_no_chance(
    arms: tuple[tuple[int, int], ...], reason: Reason
) -> None:
    assert chances([phase(1, *arms)]) == Inconclusive(reason=reason)


def test_a_ratio_without_a_denominator_says_so() -> None:
    nothing = Arm.of_rate(0, 0)
    lacking = type(nothing)(moments=nothing.moments, conversions=0, lacks=Reason.NO_DENOMINATOR)
    data = [PhaseArms(phase=1, arms=(Arm.of_rate(50, 500), lacking))]
    assert chances(data) == Inconclusive(reason=Reason.NO_DENOMINATOR)


def test_an_arm_that_lacks_what_is_rare_is_not_certain_of_it() -> None:
    (_, other) = known([phase(1, (60, 1000), (0, 100))]).posteriors
    assert other.se == pytest.approx(math.sqrt(56.4 / 1098 / 100), rel=1e-12)


def test_young_visitors_count_until_half_of_all_are_mature() -> None:
    everybody = [phase(1, (60, 500), (70, 500)), phase(2, (5, 500), (7, 500))]
    few = [phase(1, (50, 400), (50, 400)), phase(2, (0, 0), (0, 0))]
    assert that_count(few, everybody) == (tuple(everybody), True)
    enough = [everybody[0], phase(2, (0, 0), (0, 0))]
    assert that_count(enough, everybody) == (tuple(enough), False)
    assert that_count([], []) == ((), False)


def test_a_phase_of_the_young_carries_by_what_the_others_have_done() -> None:
    before = [phase(1, (100, 1000), (100, 1000))]
    assert will_carry(phase(2, (0, 100), (0, 900)), before) is None, "10 of the 100 will convert"
    assert will_carry(phase(2, (0, 99), (0, 900)), before) is Reason.FEW_VISITORS
    assert will_carry(phase(2, (0, 100), (0, 900)), [phase(1, (4, 100), (4, 100))]) is Reason.FEW_CONVERSIONS
    assert will_carry(phase(1, (0, 100), (0, 900)), [phase(1, (0, 0), (0, 0))]) is Reason.FEW_CONVERSIONS
