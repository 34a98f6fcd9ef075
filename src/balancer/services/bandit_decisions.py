"""Decisions of a bandit, kept with the figures that made them.

Invariant: a decision that was kept, read and made again says the same, from the moments on.
"""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from balancer.domain.app import BranchName
from balancer.domain.bandit import Bandit, BanditPlan, TakenOut
from balancer.domain.bandit_decision import BanditAction, BanditSeen, decide
from balancer.domain.rollout import RolloutState
from balancer.stats.arm import Inconclusive
from balancer.stats.bandit import Chances, PhaseArms, chances
from balancer.stats.verdict import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the chances of the arms are made of."""

    metric: str
    direction: Direction
    phases: tuple[PhaseArms, ...]
    """The visitors that count, in the order of the arms in play."""

    @property
    def chances(self) -> Chances | Inconclusive:
        """What these moments say."""
        return chances(self.phases, self.direction)


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditDecision:
    """What was to be done with a bandit at one time, and why."""

    at: str
    """ISO 8601, in UTC."""
    state: RolloutState
    """What the bandit was then, as the next three are."""
    phase: int
    out: tuple[tuple[str, str], ...]
    """The branches that were taken out, each with its reason."""
    plan: BanditPlan
    seen: BanditSeen | None
    """None where an operator has decided."""
    estimate: Estimate | None
    """None where an operator has decided, or the ledger did not answer."""
    action: BanditAction


_DECISION = TypeAdapter(BanditDecision)


def decided(
    bandit: Bandit, seen: BanditSeen | None, estimate: Estimate | None, action: BanditAction, at: str
) -> BanditDecision:
    """Return what is to be kept of a decision."""
    return BanditDecision(
        at=at,
        state=bandit.state,
        phase=bandit.phase,
        out=tuple((str(each.branch), each.reason) for each in bandit.out),
        plan=bandit.plan,
        seen=seen,
        estimate=estimate,
        action=action,
    )


def again(decision: BanditDecision, bandit: Bandit) -> BanditAction:
    """Decide of the same bandit and the same moments once more; what an operator has decided stays."""
    if decision.seen is None:
        return decision.action
    then = replace(
        bandit,
        state=decision.state,
        phase=decision.phase,
        out=tuple(TakenOut(branch=BranchName(branch), reason=reason) for branch, reason in decision.out),
        plan=decision.plan,
    )
    return decide(then, with_chances(decision.seen, decision.estimate))


def with_chances(seen: BanditSeen, estimate: Estimate | None) -> BanditSeen:
    """Return the figures with what the moments say of each arm."""
    found = estimate.chances if estimate else None
    if not isinstance(found, Chances):
        arms = tuple(replace(arm, mean=None, se=None, chance=None) for arm in seen.arms)
        lacks = found.reason.value if found and seen.lacks is None else seen.lacks
        return replace(seen, arms=arms, lacks=lacks)
    arms = tuple(
        replace(arm, mean=posterior.mean, se=posterior.se, chance=chance)
        for arm, posterior, chance in zip(seen.arms, found.posteriors, found.best, strict=True)
    )
    return replace(seen, arms=arms)


def text_of(decision: BanditDecision) -> str:
    """Return a decision as JSON."""
    return _DECISION.dump_json(decision).decode()


def read(text: str) -> BanditDecision:
    """Return the decision that `text_of` wrote."""
    return _DECISION.validate_json(text)
