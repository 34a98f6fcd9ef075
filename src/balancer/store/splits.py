"""Splits in the registry: each function a part of one transaction.

Invariants:
    * At most one split of an app runs; the number of one that was is never given out again.
    * Phases count 1, 2, 3 …; one that was written never changes.
    * A branch that is given visitors has a live release.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from balancer.domain.app import AppName, BranchName
from balancer.domain.split import Phase, Split, SplitState
from balancer.errors import BranchNotFound, InvalidWeights, SplitNotFound, SplitRunning
from balancer.store import apps, releases, rows, tables

_T = tables.splits
_PHASES = select(tables.phases).order_by(tables.phases.c.number)


def start(
    connection: Connection,
    app: AppName,
    weights: Mapping[BranchName, int],
    control: BranchName,
    expected_visitors: int,
    now: datetime,
) -> Split:
    """Begin a split in its first phase.

    Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights.
    """
    apps.get(connection, app)
    first = Phase(number=1, weights=weights, started_at=now)
    if (running := running_of(connection, app)) is not None:
        raise SplitRunning(app, running.id)
    _check(connection, app, first, control)
    begun = insert(_T).values(
        app=app, control=control, state=SplitState.RUNNING.value, expected_visitors=expected_visitors
    )
    _add_phase(connection, connection.execute(begun.returning(_T.c.id)).scalar_one(), first)
    return latest(connection, app)


def set_weights(connection: Connection, app: AppName, weights: Mapping[BranchName, int], now: datetime) -> Split:
    """Begin a new phase of the running split; with the weights it has, change nothing.

    Raises SplitNotFound, BranchNotFound, InvalidWeights, AppNotFound.
    """
    split = _require_running(connection, app)
    if dict(weights) == split.phase.weights:
        return split
    phase = Phase(number=split.phase.number + 1, weights=weights, started_at=now)
    _check(connection, app, phase, split.control)
    _add_phase(connection, split.id.number, phase)
    return latest(connection, app)


def cancel(connection: Connection, app: AppName, now: datetime) -> Split:
    """End the running split. Raises SplitNotFound, AppNotFound."""
    split = _require_running(connection, app)
    ended = {"state": SplitState.CANCELLED.value, "ended_at": now}
    connection.execute(update(_T).where(_T.c.id == split.id.number).values(ended))
    return latest(connection, app)


def latest(connection: Connection, app: AppName) -> Split:
    """Return the running split, else the one that ended last. Raises SplitNotFound, AppNotFound."""
    apps.get(connection, app)
    # One runs at a time, so the one with the highest number is both.
    row = connection.execute(select(_T).where(_T.c.app == app).order_by(_T.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise SplitNotFound(f"{app} has had no split yet; begin one with `balancer split start {app} …`")
    return rows.split(row, connection.execute(_PHASES.where(tables.phases.c.split == row.id)))


def running(connection: Connection) -> tuple[Split, ...]:
    """Return every running split, oldest first."""
    phases = defaultdict(list)
    for phase in connection.execute(_PHASES.join(_T).where(tables.is_running)):
        phases[phase.split].append(phase)
    found = connection.execute(select(_T).where(tables.is_running).order_by(_T.c.id))
    return tuple(rows.split(row, phases[row.id]) for row in found)


def running_of(connection: Connection, app: AppName) -> Split | None:
    """Return the running split of an app. Raises AppNotFound."""
    try:
        split = latest(connection, app)
    except SplitNotFound:
        return None
    return split if split.state is SplitState.RUNNING else None


def _require_running(connection: Connection, app: AppName) -> Split:
    split = running_of(connection, app)
    if split is None:
        raise SplitNotFound(f"{app} has no running split; begin one with `balancer split start {app} …`")
    return split


def _check(connection: Connection, app: AppName, phase: Phase, control: BranchName) -> None:
    """Raise unless the control is among the branches of `phase`, and each of them is live."""
    if control not in phase.weights:
        raise InvalidWeights(f"the control {control} must stay one of the branches of the split; a weight of 0 will do")
    missing = _not_live(connection, app, phase.weights)
    if missing:
        raise BranchNotFound(f"{app} has no live branch {missing[0]}; push it first (`git push balancer {missing[0]}`)")


def _not_live(connection: Connection, app: AppName, branches: Iterable[BranchName]) -> list[BranchName]:
    live = releases.live(connection, app)
    return [branch for branch in branches if branch not in live]


def _add_phase(connection: Connection, number: int, phase: Phase) -> None:
    connection.execute(
        insert(tables.phases).values(
            split=number,
            number=phase.number,
            weights=rows.weights_text(phase.weights),
            started_at=phase.started_at,
        )
    )
