"""Decisions of a rollout, kept with the figures that made them.

Invariant: a decision that was kept, read and made again says the same.
"""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from balancer.domain.rollout import Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import Action, Seen, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was to be done with a rollout at one time, and why."""

    at: str
    """ISO 8601, in UTC."""
    state: RolloutState
    """What the rollout was then, as the next three are."""
    step: int
    phase: int
    plan: Plan
    seen: Seen | None
    """None where an operator has decided."""
    action: Action


_DECISION = TypeAdapter(Decision)


def decided(rollout: Rollout, seen: Seen | None, action: Action, at: str) -> Decision:
    """Return what is to be kept of a decision."""
    return Decision(
        at=at,
        state=rollout.state,
        step=rollout.step,
        phase=rollout.phase,
        plan=rollout.plan,
        seen=seen,
        action=action,
    )


def again(decision: Decision, rollout: Rollout) -> Action:
    """Decide of the same rollout and the same figures once more; what an operator has decided stays."""
    if decision.seen is None:
        return decision.action
    then = replace(rollout, state=decision.state, step=decision.step, phase=decision.phase, plan=decision.plan)
    return decide(then, decision.seen)


def text_of(decision: Decision) -> str:
    """Return a decision as JSON."""
    return _DECISION.dump_json(decision).decode()


def read(text: str) -> Decision:
    """Return the decision that `text_of` wrote."""
    return _DECISION.validate_json(text)
