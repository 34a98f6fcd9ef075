"""Branches that are taken down or become the default one: each function a part of one transaction.

Invariants:
    * The default branch and the control of a running split are never taken down.
    * No split that runs names a branch that was taken down.
"""

from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import App, AppName, BranchName
from balancer.domain.release import Release
from balancer.domain.split import CANARY, Split
from balancer.domain.weights import hand_over
from balancer.errors import BranchInUse, BranchNotFound
from balancer.store import apps, canaries, releases, splits


def remove(connection: Connection, app: AppName, branch: BranchName, now: datetime) -> tuple[Release, Split | None]:
    """Take a branch down: its release drains, its share of a running split goes to the control.

    Return the release, and the split that was changed or ended by this. Raises BranchInUse, BranchNotFound,
    AppNotFound.
    """
    release = _live(connection, app, branch)
    found = apps.get(connection, app)
    if found.default_branch == branch:
        raise BranchInUse(
            f"{branch} is the default branch of {app}, which visitors see outside a split: make another one that "
            f"first (`balancer branches default {app} BRANCH`)"
        )
    if found.promoted == branch:
        raise BranchInUse(
            f"{branch} has won a split and is what visitors of {app} see: merge it into {found.default_branch} and "
            f"push that, or go back with `balancer rollback {app}`"
        )
    split = splits.open_of(connection, app)
    if split is not None and split.control == branch:
        raise BranchInUse(
            f"{branch} is the control of the running split {split.id} of {app}: end that first "
            f"(`balancer split cancel {app}`)"
        )
    changed = None
    if split is not None and branch in split.variants:
        weights = hand_over(split.phase.weights, branch, split.control)
        if weights is None:
            changed = splits.cancel(connection, app, now)
        else:
            changed = splits.set_weights(connection, app, weights, now)
    return releases.drain(connection, release.id, now), changed


def set_default(connection: Connection, app: AppName, branch: BranchName) -> App:
    """Make a live branch what visitors see outside a split; its domains become the app's.

    Raises DomainTaken, BranchInUse while there is a canary, BranchNotFound, AppNotFound.
    """
    if canaries.of(connection, app) is not None:
        raise BranchInUse(
            f"a push to the default branch of {app} is live as {CANARY}: end it first (`balancer rollout abort {app}`)"
        )
    manifest = _live(connection, app, branch).manifest
    apps.replace_domains(connection, app, manifest.domains if manifest else ())
    apps.set_default_branch(connection, app, branch)
    return apps.get(connection, app)


def _live(connection: Connection, app: AppName, branch: BranchName) -> Release:
    apps.get(connection, app)
    release = releases.live(connection, app).get(branch)
    if release is None:
        raise BranchNotFound(f"{app} has no live branch {branch}; `balancer branches list {app}` shows those there are")
    return release
