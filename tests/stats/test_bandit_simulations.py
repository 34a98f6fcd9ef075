"""Bandits, simulated with fixed seeds: what they earn, and what they do where nothing differs.

The code of the decisions itself runs. `make test ARGS='tests/stats/test_bandit_simulations.py -n 0 -s'` prints the
figures of docs/explanation/rollouts.md.
"""

import numpy as np
import pytest

from balancer.domain.bandit import FLOOR
from balancer.domain.weights import WHOLE
from balancer.stats.verdict import Direction
from simulations.bandits import Course, World, courses, naive, no_bandit

RUNS = 60
SAME = World(rates=lambda step: (0.05, 0.05), steps=28)
# From 3 to 12 % within 28 steps, as in a season that begins; the second arm is no better.
RISING = World(rates=lambda step: (0.03 + 0.09 * step / 28,) * 2, steps=28)
# A sale that ends after ten steps; the second arm is better by a tenth, and by 7.5 %.
SALE = World(rates=lambda step: (0.20, 0.215) if step < 10 else (0.05, 0.055), steps=28)
# From 24 to 2 %; the second arm adds 0.8 points.
FALLING = World(rates=lambda step: (0.24 - 0.22 * step / 28, 0.248 - 0.22 * step / 28), steps=28)


def last(found: list[Course]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the weights of the last step, from 0 to 1; of the shape (runs, arms)."""
    return np.array([each.last for each in found]) / WHOLE


def regret(found: list[Course]) -> float:
    """Return what was missed, as a part of what even weights would have missed."""
    return sum(each.regret for each in found) / sum(each.even_regret for each in found)


def say(name: str, found: list[Course]) -> None:
    """Print the figures of the page."""
    weights, one_sided = last(found), float((last(found).max(axis=1) >= 0.9).mean())
    missed = f"{regret(found):.3f}" if any(each.even_regret for each in found) else "–"
    print(
        f"\n{name}: regret {missed}, last weights {np.round(weights.mean(axis=0), 3)}, 90 % or more for one "
        f"{one_sided:.0%}, better arm below half {(weights[:, -1] < 0.5).mean():.0%}, phases "
        f"{np.mean([len(each.phases) for each in found]):.1f}, shown {np.mean([each.shown for each in found]):.1%}"
    )


@pytest.mark.parametrize(
    ("name", "rates", "direction"),
    [
        ("5 and 6 %", (0.05, 0.06), Direction.HIGHER),
        ("6 and 5 %, lower is better", (0.06, 0.05), Direction.LOWER),
    ],
)
def test_a_bandit_misses_less_than_half_of_what_even_weights_miss(
    name: str, rates: tuple[float, float], direction: Direction
) -> None:
    found = courses(World(rates=lambda step: rates, direction=direction, steps=28), RUNS, 2)
    say(name, found)
    assert regret(found) < 0.5
    assert (last(found)[:, 1] > 0.5).mean() >= 0.95


def test_of_three_arms_the_best_one_gets_the_visitors() -> None:
    found = courses(World(rates=lambda step: (0.05, 0.05, 0.065), visitors=1500, steps=28), 12, 3)
    say("5, 5 and 6.5 %", found)
    assert regret(found) < 0.5
    assert last(found)[:, 2].mean() > 0.75


def test_where_nothing_differs_every_arm_keeps_the_floor_and_no_arm_is_preferred() -> None:
    found = courses(SAME, RUNS, 1)
    say("both 5 %", found)
    weights = np.array([each.weights for each in found])
    assert weights.min() >= FLOOR
    assert (weights.sum(axis=2) == WHOLE).all()
    # The mean of 60 runs, whose weights lie between 0.05 and 0.95, has a standard error of 0.058 at most.
    assert abs(last(found)[:, 0].mean() - 0.5) < 3 * 0.058
    assert (last(found).max(axis=1) >= 0.9).mean() < 0.35


def test_a_rate_that_rises_makes_no_arm_a_winner_as_it_does_where_all_visitors_are_thrown_together() -> None:
    ours, theirs = courses(RISING, RUNS, 5), courses(RISING, RUNS, 5, naive)
    say("3 to 12 %, nothing differs", ours)
    say("- thrown together", theirs)
    assert (last(ours).max(axis=1) >= 0.9).mean() < 0.35
    assert (last(theirs).max(axis=1) >= 0.9).mean() > 0.9


@pytest.mark.parametrize(("name", "world"), [("a sale that ends", SALE), ("24 to 2 %, and 0.8 points", FALLING)])
def test_a_rate_that_falls_hides_the_better_arm_only_where_all_visitors_are_thrown_together(
    name: str, world: World
) -> None:
    ours, theirs = courses(world, RUNS, 6), courses(world, RUNS, 6, naive)
    say(name, ours)
    say("- thrown together", theirs)
    assert (last(ours)[:, 1] < 0.5).mean() < 0.5 * (last(theirs)[:, 1] < 0.5).mean()
    assert last(ours)[:, 1].mean() > last(theirs)[:, 1].mean() + 0.05


def test_a_long_window_holds_up_nothing() -> None:
    late = World(rates=lambda step: (0.05, 0.06), window=12, delay=4, steps=28)
    found = courses(late, 40, 7)
    say("5 and 6 %, a window of 12 of 28 steps", found)
    assert regret(found) < 0.6


def test_the_intervals_of_the_report_hold_though_the_weights_follow_the_data() -> None:
    world = World(rates=lambda step: (0.05, 0.06), steps=28)
    same, better, split = courses(SAME, 100, 8), courses(world, 100, 9), courses(world, 100, 9, no_bandit)
    say("both 5 %", same)
    say("5 and 6 %", better)
    say("- at even weights", split)
    assert np.mean([each.shown for each in split]) > 2 * np.mean([each.shown for each in better])
    assert np.mean([each.shown for each in same]) <= 0.05
    differences = [each.difference for each in better if each.difference is not None]
    print(f"mean difference {np.mean(differences):.5f} ± {np.std(differences) / len(differences) ** 0.5:.5f}")
    assert abs(np.mean(differences) - 0.01) < 3 * np.std(differences) / len(differences) ** 0.5
