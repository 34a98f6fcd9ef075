"""Canaries in the registry: each function a part of one transaction.

Invariants:
    * A canary is taken down in the transaction in which its split ends, or something else takes its place.
    * It is compared with the default branch, and with nothing else.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppName, BranchName
from balancer.domain.canary import Canary
from balancer.domain.release import Release
from balancer.domain.rollout import WATCHED, Rollout, RolloutState
from balancer.domain.split import CANARY
from balancer.errors import CanaryPromoted, Conflict
from balancer.store import apps, releases, rollouts, splits


def of(connection: Connection, app: AppName) -> Canary | None:
    """Return the canary of an app that is live, whether it goes on or was rolled back. Raises AppNotFound."""
    promoted = apps.get(connection, app).promoted == CANARY
    release = releases.live(connection, app).get(CANARY)
    if release is None:
        return None
    split = splits.won_by(connection, app, CANARY) if promoted else splits.open_of(connection, app)
    if split is None or split.brief.canary is None:
        return None
    return Canary(release=release, rollout=rollouts.of_split(connection, split.id), promoted=promoted)


def end(connection: Connection, app: AppName, now: datetime, superseded_by: Release | None = None) -> Rollout | None:
    """Take the canary of an app down, where there is one, with its split.

    What supersedes it ends its rollout; return that, None where it was over.
    """
    canary = of(connection, app)
    if canary is None:
        return None
    before, ended = canary.rollout, None
    if superseded_by is not None and before.state in WATCHED:
        after = replace(before, state=RolloutState.ABORTED, reason=f"superseded by release {superseded_by.number}")
        ended = rollouts.move(connection, before, after, None, now)
    split = splits.open_of(connection, app)
    if split is not None and split.id == before.split:
        splits.cancel(connection, app, now)
    releases.drain(connection, canary.release.id, now)
    return ended


def give_way(connection: Connection, control: BranchName, to: Release, now: datetime) -> Rollout | None:
    """End the canary of an app, so that another release of the same default branch takes its place.

    Return the rollout that this has ended.

    Raises Conflict where that is not the default branch any more, CanaryPromoted where everybody sees it by now.
    """
    default = apps.get(connection, to.app).default_branch
    if control != default:
        raise Conflict(f"the default branch of {to.app} is {default} by now, and {control} was pushed: push it again")
    if (canary := of(connection, to.app)) is not None and canary.promoted:
        raise CanaryPromoted(to.app, canary.release.number, default)
    return end(connection, to.app, now, superseded_by=to)
