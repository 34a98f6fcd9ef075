"""What the audit log says of bandits that change by themselves.

Invariant: each entry has the rule and the figures that made it, as the decision that is kept has them.
"""

from datetime import datetime

from balancer.domain.audit import DONE, PLATFORM, AuditEntry, line
from balancer.domain.bandit import Bandit
from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.weights import percent

_WHAT = {
    BanditWhat.SHIFT: "bandit weights",
    BanditWhat.TAKE_OUT: "bandit take-out",
    BanditWhat.ROLL_BACK: "bandit rollback",
}


def moved(after: Bandit, action: BanditAction, at: datetime) -> AuditEntry:
    """Return the entry of other weights, or of branches that are taken out."""
    weights = " ".join(f"{branch}={percent(weight).removesuffix(' %')}" for branch, weight in action.weights)
    return _entry(_WHAT[action.what], after, f"weights {weights}, {action.rule}: {action.reason}", at)


def ended(after: Bandit, reason: str, at: datetime) -> AuditEntry:
    """Return the entry of a bandit whose split was ended."""
    return _entry("bandit abort", after, f"branches {' '.join(after.arms)}, split over: {reason}", at)


def _entry(what: str, bandit: Bandit, summary: str, at: datetime) -> AuditEntry:
    return AuditEntry(at=at, who=PLATFORM, what=what, app=bandit.app, summary=line(summary), outcome=DONE)
