"""Notices of bandits: what people are told of one. That weights have moved is no notice: they do so all the time."""

from balancer.domain.bandit import Bandit
from balancer.domain.bandit_decision import BanditAction
from balancer.domain.notice import Notice, NoticeKind, facts_of, named
from balancer.domain.release import Release


def bandit_began(bandit: Bandit) -> Notice:
    """Say that a bandit has begun."""
    return Notice(
        kind=NoticeKind.BANDIT_STARTED,
        app=bandit.app,
        text=f"{bandit.app}: a bandit began: {', '.join(bandit.arms)} share the visitors by {bandit.plan.metric}",
        facts=_facts(bandit),
    )


def bandit_took_out(bandit: Bandit, action: BanditAction, releases: tuple[Release, ...]) -> Notice:
    """Say that branches get no visitors any more, why, and whose commits they are; `releases` are those still live."""
    whose = f" ({'; '.join(f'{release.branch}: {named(release)}' for release in releases)})" if releases else ""
    return Notice(
        kind=NoticeKind.BANDIT_TOOK_OUT,
        app=bandit.app,
        text=f"{bandit.app}: the bandit has taken out {action.reason}{whose}",
        facts={
            **_facts(bandit),
            "out": [branch for branch, _ in action.out],
            "releases": [facts_of(release) for release in releases],
            "rule": action.rule,
            "reason": action.reason,
        },
    )


def bandit_ended(bandit: Bandit) -> Notice:
    """Say that a bandit is done, or was aborted, or has no branch left."""
    return Notice(
        kind=NoticeKind.BANDIT_ENDED,
        app=bandit.app,
        text=f"{bandit.app}: the bandit is {bandit.state.value}: {bandit.reason}",
        facts={**_facts(bandit), "state": bandit.state.value, "reason": bandit.reason},
    )


def _facts(bandit: Bandit) -> dict[str, object]:
    return {
        "split": str(bandit.split),
        "control": str(bandit.control),
        "branches": list(map(str, bandit.branches)),
        "metric": bandit.plan.metric,
    }
