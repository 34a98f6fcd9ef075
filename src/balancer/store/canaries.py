"""Canaries in the registry: each function a part of one transaction.

Invariant: a canary is taken down in the transaction in which its split ends, or something else takes its place.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import App, AppName
from balancer.domain.canary import Canary
from balancer.domain.rollout import WATCHED, RolloutState
from balancer.domain.split import CANARY, OVER, Split
from balancer.store import apps, releases, rollouts, splits


def of(connection: Connection, app: AppName) -> Canary | None:
    """Return the canary of an app that is live, whether it goes on or was rolled back. Raises AppNotFound."""
    found = apps.get(connection, app)
    release = releases.live(connection, app).get(CANARY)
    split = next((each for each in splits.every(connection, app) if _has_it(found, each)), None)
    if release is None or split is None or split.brief.canary is None:
        return None
    rollout = rollouts.of_split(connection, split.id)
    return Canary(release=release, rollout=rollout, promoted=found.promoted == CANARY)


def end(connection: Connection, app: AppName, now: datetime, superseded: str | None = None) -> None:
    """Take the canary of an app down, where there is one, with its split; `superseded` says what ends its rollout."""
    canary = of(connection, app)
    if canary is None:
        return
    before = canary.rollout
    if superseded is not None and before.state in WATCHED:
        rollouts.move(connection, before, replace(before, state=RolloutState.ABORTED, reason=superseded), None, now)
    split = splits.open_of(connection, app)
    if split is not None and split.id == before.split:
        splits.cancel(connection, app, now)
    releases.drain(connection, canary.release.id, now)


def _has_it(app: App, split: Split) -> bool:
    """Tell whether it is this split that the live branch of that name would be in."""
    return split.state not in OVER or (app.promoted == CANARY and split.winner == CANARY)
