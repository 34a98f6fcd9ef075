"""What the audit log says of rollouts that change by themselves.

Invariant: each entry has the rule and the figures that made it, as the decision that is kept has them.
"""

from datetime import datetime

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import DONE, PLATFORM, AuditEntry, line
from balancer.domain.release import Release
from balancer.domain.rollout import Plan, Rollout, RolloutState
from balancer.domain.weights import percent

_WHAT = {
    RolloutState.RUNNING: "rollout step",
    RolloutState.PROMOTING: "rollout promotion",
    RolloutState.ROLLED_BACK: "rollout rollback",
    RolloutState.ABORTED: "rollout abort",
}


def began(app: AppName, branch: BranchName, plan: Plan, release: Release, at: datetime) -> AuditEntry:
    """Return the entry of a rollout that the platform begins, since its release was pushed."""
    to = percent(plan.steps[0])
    return _entry("rollout start", app, f"branch {branch}, to {to}: release {release.number} was pushed", at)


def moved(after: Rollout, rule: str, reason: str, at: datetime) -> AuditEntry:
    """Return the entry of a step, a rollback, a promotion or an end that the platform decides."""
    to = f"to {percent(after.part)}" if after.state in (RolloutState.RUNNING, RolloutState.PROMOTING) else "to 0 %"
    return _entry(_WHAT[after.state], after.app, f"branch {after.branch}, {to}, {rule}: {reason}", at)


def _entry(what: str, app: AppName, summary: str, at: datetime) -> AuditEntry:
    return AuditEntry(at=at, who=PLATFORM, what=what, app=app, summary=line(summary), outcome=DONE)
