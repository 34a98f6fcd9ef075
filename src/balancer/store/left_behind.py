"""What a rollout or a bandit has left behind: a split that nobody steers any more, there to be looked at.

Invariant: it is left only until the next rollout or bandit of the app begins.
"""

from datetime import datetime

from sqlalchemy import Connection, select, union_all

from balancer.domain.app import AppName
from balancer.domain.rollout import RolloutState
from balancer.domain.split import Split
from balancer.store import splits, tables

_STATES = (RolloutState.ROLLED_BACK.value, RolloutState.ABORTED.value)


def clear(connection: Connection, app: AppName, now: datetime) -> None:
    """Cancel the split of an app, where a rollout or a bandit has left it behind. Raises AppNotFound."""
    running = splits.open_of(connection, app)
    if running is not None and _is_left(connection, running):
        splits.take_down(connection, splits.cancel(connection, app, now), now)


def in_the_way(connection: Connection, app: AppName) -> Split | None:
    """Return the split of an app that is not over, unless it was left behind. Raises AppNotFound."""
    running = splits.open_of(connection, app)
    return None if running is None or _is_left(connection, running) else running


def _is_left(connection: Connection, running: Split) -> bool:
    owners = union_all(
        *(
            select(table.c.id).where(table.c.split == running.id.number, table.c.state.in_(_STATES))
            for table in (tables.rollouts, tables.bandits)
        )
    )
    return connection.execute(owners).first() is not None
