"""The Bayesian display: chances that draws confirm, without drawing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.bayes import Chance, Posterior, chance, chances_to_be_best
from balancer.stats.compare import Comparison


def given_by(difference: float, se: float, *, better_is_higher: bool = True) -> Chance:
    """Return what a difference and its standard error say."""
    found = Comparison(
        difference=difference,
        se=se,
        control_mean=1.0,
        low=difference - 3 * se,
        high=difference + 3 * se,
        log_e=0.0,
        p=1.0,
        alpha=0.05,
        visitors=200,
        used=(1,),
        left_out=(),
    )
    return chance(found, better_is_higher=better_is_higher)


ARM = st.builds(Posterior, mean=st.floats(-5, 5), se=st.floats(0.01, 3))


def test_no_difference_is_an_even_chance_and_costs_the_same_either_way() -> None:
    # E max(−Δ, 0) of a standard normal number is φ(0) = 0.3989423.
    found = given_by(0.0, 1.0)
    assert found.to_win == 0.5
    assert found.expected_loss == found.expected_loss_of_control == pytest.approx(0.3989423, abs=5e-8)


def test_two_standard_errors_are_a_chance_of_ninety_eight_percent() -> None:
    # Φ(2) = 0.9772499; φ(2) − 2 Φ(−2) = 0.0539910 − 0.0455003.
    found = given_by(0.02, 0.01)
    assert found.to_win == pytest.approx(0.9772499, abs=5e-8)
    assert found.expected_loss == pytest.approx(0.01 * 0.0084907, abs=5e-10)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_the_losses_differ_by_the_difference_and_the_other_way_round_they_change_places(d: float, se: float) -> None:
    there, back = given_by(d, se), given_by(-d, se)
    assert there.expected_loss_of_control - there.expected_loss == pytest.approx(d, abs=1e-9)
    assert back.to_win == pytest.approx(1 - there.to_win)
    assert back.expected_loss == pytest.approx(there.expected_loss_of_control)


@given(ARM, ARM)
def test_of_two_arms_the_chance_to_be_best_is_that_to_win(control: Posterior, treatment: Posterior) -> None:
    wanted = given_by(treatment.mean - control.mean, math.hypot(control.se, treatment.se)).to_win
    assert chances_to_be_best([control, treatment]) == pytest.approx((1 - wanted, wanted), abs=1e-3)


@given(st.lists(ARM, min_size=1, max_size=5))
def test_the_chances_to_be_best_add_up_to_one(arms: list[Posterior]) -> None:
    found = chances_to_be_best(arms)
    assert math.fsum(found) == pytest.approx(1)
    assert all(0 <= chance <= 1 for chance in found)


def test_the_chances_of_four_arms_are_those_of_a_million_draws() -> None:
    arms = [Posterior(mean=m, se=s) for m, s in ((0.0, 1.0), (0.5, 0.1), (0.4, 2.0), (0.52, 0.001))]
    draws = np.random.default_rng(18).normal([a.mean for a in arms], [a.se for a in arms], (1_000_000, 4))
    best = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)
    assert chances_to_be_best(arms) == pytest.approx(tuple(best), abs=3e-3)


def test_a_chance_to_win_above_95_percent_is_reached_by_a_third_of_aa_tests_so_it_decides_nothing() -> None:
    runs, every, looks = 1000, 50, 200
    n = every * np.arange(2, looks + 2)
    rng = np.random.default_rng(21)
    rates = [
        rng.binomial(every, 0.05, (runs, looks)).cumsum(axis=1) + rng.binomial(every, 0.05, (runs, 1)) for _ in "ab"
    ]
    control, treatment = (each / n for each in rates)
    se = np.sqrt((control * (1 - control) + treatment * (1 - treatment)) / (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        wins = ((treatment - control) / se > 1.644853627).any(axis=1).mean()
    print(f"A/A, a chance to win above 95 % at some of 200 looks: {wins:.1%}")
    assert given_by(1.644853627, 1.0).to_win == pytest.approx(0.95)
    assert wins >= 0.25


def test_where_lower_is_better_the_signs_are_turned() -> None:
    assert given_by(-0.02, 0.01, better_is_higher=False) == given_by(0.02, 0.01)


def test_a_certainty_without_spread_is_refused() -> None:
    for se in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="standard error"):
            Posterior(mean=0.1, se=se)
