"""The bandit: how likely each arm is the best one, where the weights themselves follow the answer.

Invariants:
    * Arms are compared within phases only, and every arm has the same phases with the same parts: a rate that changes
      over time while weights change misleads nobody.
    * No randomness: the same moments give the same chances, so that what was decided can be decided again.
    * Where the data cannot carry an estimate the answer is `Inconclusive` with the reason, and no chance.

Thompson sampling draws each arm's mean from its posterior and shows the arm whose draw is best; over many visitors an
arm is shown as often as it is likely to be the best one. That chance is an integral (`bayes.chances_to_be_best`), so
nothing is drawn here. The posterior of an arm is normal, with a flat prior, about

    m_i = Σ_e (n_e/n) ȳ_i,e        with SE_i² = Σ_e (n_e/n)² s²_i,e / n_i,e

over the phases e of the assignment, n_e their visitors in all arms. The difference of two arms is the one that the
report shows. Parts that follow the sizes of the phases do not depend on how well an arm did, as parts by precision
would: an arm with a bad beginning gets few visitors later, and would keep its bad beginning for good.

Which visitors count. Mature ones have their final number. A metric with a window of three days would hold a bandit up
for three days, though, and there the young ones count too, each with what they have done so far: the arms of a phase
share the minutes of their assignments, so their visitors are equally young, and a difference is diluted, not turned.
What can turn it is a variant that only makes visitors act sooner. So young visitors count for as long as mature ones
are fewer than half of all; from then on (about two windows after the beginning) they do not, and by then the mature
ones are enough that leaving the young out widens no interval by more than √2.

The rollout's bandit reads it (`services/bandit_figures.py`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from balancer.stats.arm import ROUNDING, VISITORS_AN_ARM, Arm, Inconclusive, Reason
from balancer.stats.bayes import Posterior, chances_to_be_best
from balancer.stats.compare import CONVERSIONS_EXPECTED_A_PHASE, CONVERSIONS_IN_ALL
from balancer.stats.verdict import Direction

# Half: so many of the visitors have to be mature for the young ones to be left out.
_MATURE_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseArms:
    """All arms of one phase, by the phase of the assignment, in an order that is the same in every phase."""

    phase: int
    arms: tuple[Arm, ...]

    @property
    def visitors(self) -> int:
        """Those of all arms."""
        return sum(arm.n for arm in self.arms)

    @property
    def conversions(self) -> int:
        """Those of all arms."""
        return sum(arm.conversions for arm in self.arms)

    @property
    def lacks(self) -> Reason | None:
        """Why it cannot carry an estimate by itself: as a phase of a comparison, and for all arms at once."""
        fewest = min(arm.n for arm in self.arms)
        if fewest < VISITORS_AN_ARM:
            return next((arm.lacks for arm in self.arms if arm.lacks), Reason.FEW_VISITORS)
        if self.conversions * fewest < CONVERSIONS_EXPECTED_A_PHASE * self.visitors:
            return Reason.FEW_CONVERSIONS
        return None

    def se2(self, arm: Arm) -> float:
        """Return the squared standard error of an arm's mean, at least with the variance that the arms have in common.

        An arm that happens to lack the rare values looks both worse than it is and certain of it
        (`compare.Stratum.cautious_se2`); it would be starved for that.
        """
        common = math.fsum(each.moments.m2 for each in self.arms) / (self.visitors - len(self.arms))
        return max(arm.se2, common / arm.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How likely each arm is the best one, in the order of the arms."""

    posteriors: tuple[Posterior, ...]
    """Of the means, in the unit of the value."""
    best: tuple[float, ...]
    """They add up to 1."""
    used: tuple[int, ...]
    """The phases in the estimate."""
    left_out: tuple[int, ...]
    """The phases with too little in an arm."""


def that_count(mature: Iterable[PhaseArms], everybody: Iterable[PhaseArms]) -> tuple[tuple[PhaseArms, ...], bool]:
    """Return the visitors that count, by phase, and whether young ones are among them (see above)."""
    final, all_of_them = tuple(mature), tuple(everybody)
    enough = sum(each.visitors for each in final) >= _MATURE_SHARE * sum(each.visitors for each in all_of_them)
    return (final, False) if enough else (all_of_them, True)


def will_carry(present: PhaseArms, counting: Iterable[PhaseArms]) -> Reason | None:
    """Return why the present phase will not carry an estimate if it ends now; None where it will.

    `present` has everybody in it, mature or not; how many of them will convert is told by the visitors that count.
    """
    if min(arm.n for arm in present.arms) < VISITORS_AN_ARM:
        return Reason.FEW_VISITORS
    counting = tuple(counting)
    visitors, conversions = (sum(each) for each in zip(*((c.visitors, c.conversions) for c in counting), strict=True))
    expected = min(arm.n for arm in present.arms) * conversions / visitors if visitors else 0.0
    return None if expected >= CONVERSIONS_EXPECTED_A_PHASE else Reason.FEW_CONVERSIONS


def chances(phases: Iterable[PhaseArms], direction: Direction = Direction.HIGHER) -> Chances | Inconclusive:
    """Return how likely each arm is the best one in `direction`, over the phases that have enough in every arm."""
    phases = tuple(phases)
    kept = [each for each in phases if each.lacks is None]
    if not kept:
        return Inconclusive(reason=next((each.lacks for each in reversed(phases) if each.lacks), Reason.FEW_VISITORS))
    if sum(each.conversions for each in kept) < CONVERSIONS_IN_ALL:
        return Inconclusive(reason=Reason.FEW_CONVERSIONS)
    n = sum(each.visitors for each in kept)
    means, errors = [], []
    for place in range(len(kept[0].arms)):
        parts = [(each.visitors / n, each, each.arms[place]) for each in kept]
        means.append(math.fsum(part * arm.mean for part, _, arm in parts))
        errors.append(math.sqrt(math.fsum(part * part * each.se2(arm) for part, each, arm in parts)))
    if min(errors) <= ROUNDING * max(map(abs, means)):
        return Inconclusive(reason=Reason.NO_SPREAD)
    found = tuple(Posterior(mean=mean, se=se) for mean, se in zip(means, errors, strict=True))
    sign = 1 if direction is Direction.HIGHER else -1
    return Chances(
        posteriors=found,
        best=chances_to_be_best([replace(each, mean=sign * each.mean) for each in found]),
        used=tuple(each.phase for each in kept),
        left_out=tuple(each.phase for each in phases if each not in kept),
    )
