"""Bandits as they run: weights follow the chances, rates drift, purchases come late.

Invariants:
    * What is judged and what is decided is the code itself: `stats.bandit`, `domain.bandit`, `domain.bandit_decision`.
    * A visitor belongs to the phase of the assignment; the chance to buy is that of the time of the assignment.

A step is the step time, whole: who is assigned in it has at the end of the next one the age of one step. The report's
rule that a phase has to carry an estimate before the next one begins holds here too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from balancer.domain.app import AppName, BranchName
from balancer.domain.bandit import Bandit, BanditPlan, even_weights
from balancer.domain.bandit_decision import ArmSeen, BanditSeen, BanditWhat, decide
from balancer.domain.rollout import RolloutState, Watch
from balancer.domain.split import SplitId
from balancer.domain.weights import WHOLE
from balancer.stats.arm import Arm, Inconclusive, Reason
from balancer.stats.bandit import Chances, PhaseArms, chances, that_count, will_carry
from balancer.stats.compare import Comparison, Stratum, compare
from balancer.stats.verdict import Direction

# N*: what the steps of a world bring at least.
EXPECTED_VISITORS = 28_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What visitors do."""

    rates: Callable[[int], Sequence[float]]
    """The chance to convert of each arm, for who is assigned in a step, counted from 0."""
    visitors: int = 1000
    """In a step."""
    steps: int = 56
    window: int = 0
    """In steps; 0: they convert at once."""
    delay: float = 1.0
    """The mean steps from the assignment to the conversion, where there is a window."""
    direction: Direction = Direction.HIGHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What became of one bandit."""

    weights: list[list[int]]
    """Of each step, in units of 0.01 %."""
    regret: float
    """Conversions missed (or had too many), beside the best arm for all visitors."""
    even_regret: float
    """The same, had the weights stayed even."""
    phases: list[PhaseArms] = field(default_factory=list)
    """All visitors with their final values."""
    shown: bool = False
    """Whether the report has shown a difference between the first two arms at any step."""

    @property
    def last(self) -> list[int]:
        """The weights of the last step."""
        return self.weights[-1]

    @property
    def difference(self) -> float | None:
        """What the report shows of the second arm beside the first in the end; None where it shows nothing."""
        found = reported(self.phases)
        return found.difference if isinstance(found, Comparison) else None


def naive(phases: Sequence[PhaseArms], direction: Direction) -> Chances | Inconclusive:
    """Return the chances of a bandit that throws all visitors of an arm together."""
    arms = zip(*(each.arms for each in phases), strict=True)
    together = tuple(Arm.of_rate(sum(arm.conversions for arm in each), sum(arm.n for arm in each)) for each in arms)
    return chances([PhaseArms(phase=1, arms=together)], direction)


def no_bandit(phases: Sequence[PhaseArms], direction: Direction) -> Inconclusive:
    """Return no chances, so that weights stay even: a split as it is."""
    return Inconclusive(reason=Reason.HIDDEN)


def course(
    rng: np.random.Generator,
    world: World,
    estimate: Callable[[Sequence[PhaseArms], Direction], Chances | Inconclusive] = chances,
) -> Course:
    """Let one bandit run, with the chances that `estimate` gives."""
    arms = len(world.rates(0))
    bandit = bandit_of(arms)
    weights = list(even_weights(bandit.arms).values())
    phase_of, taken = np.zeros(world.steps, dtype=np.int64), []
    n = np.zeros((world.steps, arms), dtype=np.int64)
    bought = np.zeros((world.steps, arms, world.window + 1), dtype=np.int64)
    ages = np.exp(-np.arange(world.window + 1) / world.delay)
    regret = even = 0.0
    phase, began, shown = 1, 0, False
    for step in range(world.steps):
        rates = np.array(world.rates(step))
        phase_of[step], n[step] = phase, rng.multinomial(world.visitors, np.array(weights) / WHOLE)
        bought[step] = rng.multinomial(rng.binomial(n[step], rates), ages / ages.sum())
        gap = rates.max() - rates if world.direction is Direction.HIGHER else rates - rates.min()
        regret += float(n[step] @ gap)
        even += world.visitors * float(gap.mean())
        taken.append(weights)
        counting, young_too = that_count(*(strata(n, bought, phase_of, step, world.window, m) for m in (True, False)))
        found = reported(strata(n, bought, phase_of, step, world.window, True))
        shown = shown or (isinstance(found, Comparison) and found.excludes_zero)
        present = strata(n, bought, phase_of, step, world.window, False)[-1]
        estimated, lacks = estimate(counting, world.direction), will_carry(present, counting)
        if lacks is None and isinstance(estimated, Inconclusive):
            lacks = estimated.reason
        best = None if isinstance(estimated, Inconclusive) else estimated.best
        seen = BanditSeen(
            phase=1,
            seconds=0,
            step_seconds=step + 1 - began,
            young_too=young_too,
            lacks=lacks.value if lacks else None,
            arms=tuple(
                ArmSeen(branch=str(branch), weight=weights[place], chance=best[place] if best else None)
                for place, branch in enumerate(bandit.arms)
            ),
        )
        action = decide(bandit, seen)
        if action.what is BanditWhat.SHIFT:
            weights, phase, began = [weight for _, weight in action.weights], phase + 1, step + 1
    return Course(
        weights=taken,
        regret=regret,
        even_regret=even,
        shown=shown,
        phases=strata(n, bought, phase_of, world.steps + world.window, world.window, True),
    )


def courses(
    world: World,
    runs: int,
    seed: int,
    estimate: Callable[[Sequence[PhaseArms], Direction], Chances | Inconclusive] = chances,
) -> list[Course]:
    """Let so many bandits run, each with dice of its own."""
    return [course(np.random.default_rng([seed, number]), world, estimate) for number in range(runs)]


def reported(phases: Sequence[PhaseArms]) -> Comparison | Inconclusive:
    """Return the second arm beside the first, as the report compares them."""
    pairs = [Stratum(phase=each.phase, control=each.arms[0], treatment=each.arms[1]) for each in phases]
    return compare(pairs, alpha=0.05, expected_visitors=EXPECTED_VISITORS)


def bandit_of(arms: int) -> Bandit:
    """Return a bandit of so many arms whose step time is over at once."""
    return Bandit(
        number=1,
        app=AppName("shop"),
        control=BranchName("master"),
        branches=tuple(BranchName(f"test-{number}") for number in range(1, arms)),
        split=SplitId("s1"),
        plan=BanditPlan(metric="purchase", step_seconds=0),
        state=RolloutState.RUNNING,
        phase=1,
        watch=Watch(ticks=0.0),
    )


def strata(n: Ints, bought: Ints, phase_of: Ints, now: int, window: int, mature: bool) -> list[PhaseArms]:
    """Return the visitors of each phase as they are at the end of step `now`."""
    steps = np.arange(len(n))
    wanted = (steps <= now - window) if mature else (steps <= now)
    done = np.arange(bought.shape[2])[None, :] <= (now - steps)[:, None]
    values = (bought * done[:, None, :]).sum(axis=2)
    sums = np.zeros((2, int(phase_of.max()) + 1, n.shape[1]), dtype=np.int64)
    for place, each in enumerate((n, values)):
        np.add.at(sums[place], phase_of[wanted], each[wanted])
    return [
        PhaseArms(phase=phase, arms=tuple(map(Arm.of_rate, sums[1, phase].tolist(), sums[0, phase].tolist())))
        for phase in range(1, sums.shape[1])
    ]


def weekly(base: float, swing: float, steps_a_week: int, effects: Sequence[float]) -> Callable[[int], Sequence[float]]:
    """Return rates that swing by a part of themselves each week, with what each arm adds."""
    return lambda step: [base * (1 + swing * math.sin(2 * math.pi * step / steps_a_week)) + each for each in effects]
