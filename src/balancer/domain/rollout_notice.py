"""Notices of rollouts: what people are told of one, with the figures that made it."""

from balancer.domain.notice import Notice, NoticeKind, facts_of, named
from balancer.domain.release import Release
from balancer.domain.rollout import Rollout
from balancer.domain.rollout_decision import Action
from balancer.domain.weights import percent


def rollout_began(rollout: Rollout) -> Notice:
    """Say that a rollout has begun."""
    text = f"{rollout.app}: the rollout of {rollout.branch} began at {percent(rollout.weight)}"
    return Notice(kind=NoticeKind.ROLLOUT_STARTED, app=rollout.app, text=text, facts=_facts(rollout))


def rollout_moved(rollout: Rollout, action: Action) -> Notice:
    """Say that a rollout has taken a step by itself."""
    return Notice(
        kind=NoticeKind.ROLLOUT_MOVED,
        app=rollout.app,
        text=f"{rollout.app}: {rollout.branch} goes on to {percent(rollout.weight)}: {action.reason}",
        facts={**_facts(rollout), "rule": action.rule, "reason": action.reason},
    )


def rollout_ready(rollout: Rollout, action: Action) -> Notice:
    """Say that a rollout has all it needs, and waits for somebody to promote it; once a rollout."""
    return Notice(
        kind=NoticeKind.ROLLOUT_READY,
        app=rollout.app,
        text=f"{rollout.app}: {rollout.branch} waits for somebody to promote it: {action.reason}",
        facts={**_facts(rollout), "rule": action.rule, "reason": action.reason},
        key=f"rollout.ready {rollout.split}",
    )


def rollout_rolled_back(rollout: Rollout, action: Action, release: Release | None) -> Notice:
    """Say that a rollout was rolled back, why, and whose commit it was; `release` is the one that harmed.

    None: its branch is not live any more.
    """
    what = f"{rollout.branch} ({named(release)})" if release else str(rollout.branch)
    return Notice(
        kind=NoticeKind.ROLLOUT_ROLLED_BACK,
        app=rollout.app,
        text=f"{rollout.app}: the rollout of {what} was rolled back at {percent(rollout.weight)}: {action.reason}",
        facts={
            **_facts(rollout),
            **(facts_of(release) if release else {}),
            "rule": action.rule,
            "reason": action.reason,
        },
    )


def rollout_ended(rollout: Rollout) -> Notice:
    """Say that a rollout is done, or was aborted."""
    return Notice(
        kind=NoticeKind.ROLLOUT_ENDED,
        app=rollout.app,
        text=f"{rollout.app}: the rollout of {rollout.branch} is {rollout.state.value}: {rollout.reason}",
        facts={**_facts(rollout), "state": rollout.state.value, "reason": rollout.reason},
    )


def _facts(rollout: Rollout) -> dict[str, object]:
    return {
        "branch": str(rollout.branch),
        "split": str(rollout.split),
        "step": rollout.step + 1,
        "weight": rollout.part / 100,
    }
