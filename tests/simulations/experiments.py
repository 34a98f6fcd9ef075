"""Each claim of docs/explanation/statistics.md as an experiment that is run thousands of times; ramps: `judged`.

Used by tests/stats/test_simulations.py, which asserts the bounds, and by bench/stats.py, which runs ten times as many
and prints them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from balancer.stats.compare import alpha_each
from balancer.stats.srm import ALARM_AT
from simulations.cells import Cells, Spending, rates, spending
from simulations.looks import (
    ALPHA,
    EXPECTED_VISITORS,
    Flags,
    Guard,
    chi_square,
    compared,
    evidence_of_ratio,
    sequential_on_the_relative_scale,
    z_test,
)
from simulations.runs import ever, repeated

# 10,000 visitors an arm, a look at every 50.
EVERY, LOOKS = 50, 200
BLOCKS = np.full((LOOKS, 1), EVERY)
# Revenue: 95 % spend nothing.
REVENUE = Spending(buyers=0.05, sigma=1.0)
Make = Callable[[np.random.Generator, int], Cells]
# What an arm of an A/A test is made of.
AA: dict[str, Make] = {
    "rate 1 %": lambda rng, size: rates(rng, size, BLOCKS, 0.01),
    "rate 5 %": lambda rng, size: rates(rng, size, BLOCKS, 0.05),
    "rate 50 %": lambda rng, size: rates(rng, size, BLOCKS, 0.50),
    "revenue": lambda rng, size: spending(rng, size, BLOCKS, REVENUE)[0],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """The parts of the runs in which a difference is shown at any look."""

    ours: float
    z_test: float
    relative: float
    """By the confidence sequence on the relative scale."""


def aa(make: Make, *, runs: int, seed: int) -> Alarms:
    """Compare two arms that do not differ, all the time."""

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        arms = make(rng, size), make(rng, size)
        return compared(*arms).shown(), z_test(*arms), sequential_on_the_relative_scale(*arms)

    ours, ordinary, relative = ever(*repeated(once, runs=runs, seed=seed))
    return Alarms(ours=ours, z_test=ordinary, relative=relative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The parts of the runs in which any variant differs from the control at any look."""

    ours: float
    uncorrected: float
    """Each comparison at 5 %."""
    z_test: float
    """Each comparison by the ordinary test at 5 %."""


def family(arms: int, *, runs: int, seed: int) -> Family:
    """Compare `arms` arms that do not differ, the first of them the control, all the time."""

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        control, *others = (rates(rng, size, BLOCKS, 0.05) for _ in range(arms))
        each = alpha_each(ALPHA, arms)
        return (
            np.stack([compared(control, other, alpha=each).shown(each) for other in others], axis=-1),
            np.stack([compared(control, other).shown() for other in others], axis=-1),
            np.stack([z_test(control, other) for other in others], axis=-1),
        )

    ours, uncorrected, ordinary = ever(*repeated(once, runs=runs, seed=seed))
    return Family(ours=ours, uncorrected=uncorrected, z_test=ordinary)


# Rates of A/A tests at 99 : 1.
CANARIES = (0.005, 0.05, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The parts of the runs in which the canary differs from the control at any look."""

    ours: float
    own_variances: float
    """Without the common variance."""
    unguarded: float
    """With 100 visitors an arm and 50 conversions in all as the only gates, too."""
    z_test: float


def canary(rate: float, *, runs: int, seed: int) -> Canary:
    """Compare 99 % of the visitors with 1 % that do not differ, 25,000 more at each of 100 looks."""
    control, treatment = np.full((100, 1), 24_750), np.full((100, 1), 250)

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        arms = rates(rng, size, control, rate), rates(rng, size, treatment, rate)
        return *(compared(*arms, guard=guard).shown() for guard in Guard), z_test(*arms)

    ours, own, unguarded, ordinary = ever(*repeated(once, runs=runs, seed=seed))
    return Canary(ours=ours, own_variances=own, unguarded=unguarded, z_test=ordinary)


def fixed_sample(rate: float, better: float, *, power: float = 0.8) -> int:
    """Return the visitors an arm that the ordinary test needs for two rates, looked at once."""
    middle, apart = (rate + better) / 2, better - rate
    alike = norm.ppf(1 - ALPHA / 2) * np.sqrt(2 * middle * (1 - middle))
    differing = norm.ppf(power) * np.sqrt(rate * (1 - rate) + better * (1 - better))
    return int(np.ceil(((alike + differing) / apart) ** 2))


# Rates of control and variant; all need about 10,000 to 20,000 visitors, for which N* is a fair guess.
POWER = ((0.05, 0.059), (0.05, 0.06), (0.20, 0.22), (0.50, 0.52))
# Needs 85,000 visitors: far more than N* as shipped.
LARGE = (0.01, 0.012)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The parts of the runs that show the gain."""

    ours: float
    """At any of 28 looks on the way."""
    fixed: float
    """By the ordinary test after the fixed sample, looked at once: what the sample is made for."""


def power(
    rate: float, better: float, *, times: float = 1.8, expected_visitors: int = EXPECTED_VISITORS, runs: int, seed: int
) -> Power:
    """Compare two rates until `times` the fixed sample."""
    sample = fixed_sample(rate, better)
    block = np.full((28, 1), round(times * sample / 28))

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        found = compared(
            rates(rng, size, block, rate), rates(rng, size, block, better), expected_visitors=expected_visitors
        )
        whole = np.array([[sample]])
        return found.shown() & (found.difference > 0), z_test(
            rates(rng, size, whole, rate), rates(rng, size, whole, better)
        )

    ours, fixed = ever(*repeated(once, runs=runs, seed=seed))
    return Power(ours=ours, fixed=fixed)


# The variant's share of the visitors, how many those are, rates of control and variant.
UNEVEN_POWER = (
    (0.1, 99_000, 0.05, 0.059),
    (0.1, 99_000, 0.05, 0.041),
    (0.01, 180_000, 0.05, 0.075),
    (0.01, 180_000, 0.05, 0.025),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenPower:
    """The parts of the runs that show the true sign of the difference at any of 28 looks, and its opposite."""

    ours: float
    own_variances: float
    """Without the common variance."""
    wrong: float
    """Ours, the opposite of the truth."""


def uneven_power(share: float, visitors: int, rate: float, other: float, *, runs: int, seed: int) -> UnevenPower:
    """Compare a control of `rate` with a smaller variant of the rate `other`."""
    blocks = [np.full((28, 1), round(visitors * part / 28)) for part in (1 - share, share)]

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        arms = rates(rng, size, blocks[0], rate), rates(rng, size, blocks[1], other)
        found, own = compared(*arms), compared(*arms, guard=Guard.NO_COMMON_VARIANCE)
        right = (found.difference > 0) == (other > rate)
        return found.shown() & right, own.shown() & right, found.shown() & ~right

    ours, own, wrong = ever(*repeated(once, runs=runs, seed=seed))
    return UnevenPower(ours=ours, own_variances=own, wrong=wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The parts of the runs with an alarm at any look."""

    ours: float
    chi_square: float
    """By the ordinary test at 5 %."""


def ratio(share: float, *, runs: int, seed: int) -> Ratio:
    """Send 25,000 visitors of whom one variant of two even ones gets `share`, a look at every 50."""

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        first = rng.binomial(EVERY, share, (size, 25_000 // EVERY)).cumsum(axis=1)
        counts = np.stack([first, EVERY * np.arange(1, first.shape[1] + 1) - first], axis=-1)
        return evidence_of_ratio(counts, (0.5, 0.5)) >= ALARM_AT, chi_square(counts, (0.5, 0.5))

    ours, ordinary = ever(*repeated(once, runs=runs, seed=seed))
    return Ratio(ours=ours, chi_square=ordinary)


# A week at each of these shares; spread of the amounts (see `Spending`); visitors a day.
HEAVY = (
    ((0.01, 0.5), 1.0, 2000),
    ((0.01, 0.5), 1.0, 20_000),
    ((0.01, 0.5), 2.0, 2000),
    ((0.01, 0.5), 2.0, 20_000),
    ((0.01,), 2.0, 20_000),
    ((0.1, 0.5), 2.0, 2000),
    ((0.99, 0.5), 2.0, 2000),
    ((0.5,), 2.0, 2000),
)
# A percentile of what 100,000 visitors spent before the split, those who spent nothing among them.
CAP = 99.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heavy:
    """The parts of the runs in which a difference is shown at any look."""

    ours: float
    own_variances: float
    """Without the common variance."""
    own_capped: float
    """Without the common variance, each visitor's amount capped at `CAP`."""
    z_test: float


def heavy_tails(steps: tuple[float, ...], sigma: float, a_day: int, *, runs: int, seed: int) -> Heavy:
    """Compare two variants that do not differ, a look a day; 5 % of the visitors spend."""
    habits = Spending(buyers=0.05, sigma=sigma)
    caps = (np.inf, habits.capped_at(CAP, 100_000, seed))
    blocks = [np.zeros((7 * len(steps), len(steps)), dtype=np.int64) for _ in range(2)]
    for phase, step in enumerate(steps):
        for block, share in zip(blocks, (1 - step, step), strict=True):
            block[7 * phase : 7 * phase + 7, phase] = round(a_day * share)

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        arms = (spending(rng, size, block, habits, caps) for block in blocks)
        plain, capped = zip(*arms, strict=True)
        own = Guard.NO_COMMON_VARIANCE
        return (
            compared(*plain).shown(),
            compared(*plain, guard=own).shown(),
            compared(*capped, guard=own).shown(),
            z_test(*plain),
        )

    ours, own, own_capped, ordinary = ever(*repeated(once, runs=runs, seed=seed))
    return Heavy(ours=ours, own_variances=own, own_capped=own_capped, z_test=ordinary)
