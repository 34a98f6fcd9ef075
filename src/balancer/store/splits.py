"""Splits in the registry: each function a part of one transaction.

Invariants:
    * At most one split of an app is not over; the number of one that was is never given out again.
    * Phases count 1, 2, 3 …; one that was written never changes.
    * A branch that is given visitors has a live release.
    * None begins while everybody sees a canary, whose branch is about to go.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from balancer.domain.app import AppName, BranchName
from balancer.domain.split import CANARY, Brief, Phase, Split, SplitId, SplitState
from balancer.errors import (
    BranchNotFound,
    CanaryPromoted,
    IllegalTransition,
    InvalidSplit,
    InvalidWeights,
    SplitNotFound,
    SplitRunning,
)
from balancer.store import apps, releases, rows, tables
from balancer.store.rows import AnyRow

_T = tables.splits
_NO_BRIEF = Brief()
_PHASES = select(tables.phases).order_by(tables.phases.c.number)


def start(
    connection: Connection,
    app: AppName,
    weights: Mapping[BranchName, int],
    control: BranchName,
    expected_visitors: int,
    now: datetime,
    brief: Brief = _NO_BRIEF,
) -> Split:
    """Begin a split in its first phase.

    Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, CanaryPromoted.
    """
    found = apps.get(connection, app)
    if found.promoted == CANARY and (canary := releases.live(connection, app).get(CANARY)) is not None:
        raise CanaryPromoted(app, canary.number, found.default_branch)
    first = Phase(number=1, weights=weights, started_at=now)
    if (running := open_of(connection, app)) is not None:
        raise SplitRunning(app, running.id, steered_by=_steered_by(connection, running))
    _check(connection, app, first, control)
    begun = insert(_T).values(
        app=app,
        control=control,
        state=SplitState.RUNNING.value,
        expected_visitors=expected_visitors,
        brief=rows.brief_text(brief),
    )
    _add_phase(connection, connection.execute(begun.returning(_T.c.id)).scalar_one(), first)
    return latest(connection, app)


def set_weights(connection: Connection, app: AppName, weights: Mapping[BranchName, int], now: datetime) -> Split:
    """Begin a new phase of the split that is not over; with the weights it has, change nothing.

    Raises SplitNotFound, BranchNotFound, InvalidWeights, AppNotFound.
    """
    split = _require_open(connection, app)
    if dict(weights) == split.phase.weights:
        return split
    phase = Phase(number=split.phase.number + 1, weights=weights, started_at=now)
    _check(connection, app, phase, split.control)
    _add_phase(connection, split.id.number, phase)
    return latest(connection, app)


def pause(connection: Connection, app: AppName) -> Split:
    """Assign nobody new. Raises SplitNotFound, AppNotFound, IllegalTransition where it is paused."""
    return _set_state(connection, app, SplitState.RUNNING, SplitState.PAUSED)


def resume(connection: Connection, app: AppName) -> Split:
    """Assign visitors again. Raises SplitNotFound, AppNotFound, IllegalTransition where it is not paused."""
    return _set_state(connection, app, SplitState.PAUSED, SplitState.RUNNING)


def conclude(connection: Connection, app: AppName, winner: BranchName, now: datetime) -> Split:
    """End the split with a winner, which visitors see from now on.

    Raises SplitNotFound, AppNotFound, BranchNotFound where the winner takes no part or is not live, InvalidSplit where
    it is a twin.
    """
    split = _require_open(connection, app)
    if winner not in split.variants:
        raise BranchNotFound(
            f"{winner} takes no part in the split {split.id} of {app}: one of {', '.join(split.variants)} can win"
        )
    if winner == split.brief.twin:
        raise InvalidSplit(
            f"{winner} is what {split.control} is, and goes with the A/A split {split.id}: there is nothing to win; "
            f"end it with `balancer split cancel {app}`"
        )
    _require_live(connection, app, [winner])
    default = apps.get(connection, app).default_branch
    apps.promote(connection, app, None if winner == default else winner)
    return _end(connection, split, SplitState.CONCLUDED, now, winner=winner)


def cancel(connection: Connection, app: AppName, now: datetime) -> Split:
    """End the split without a winner. Raises SplitNotFound, AppNotFound."""
    return _end(connection, _require_open(connection, app), SplitState.CANCELLED, now)


def reshuffle(connection: Connection, app: AppName, now: datetime) -> Split:
    """End the split and begin the same one with another id, which assigns everyone anew.

    Raises SplitNotFound, AppNotFound, BranchNotFound, InvalidSplit where it goes with a rollout.
    """
    before = _require_open(connection, app)
    if before.brief.canary is not None:
        raise InvalidSplit(
            f"the split {before.id} goes with the rollout of a push: push again to assign everyone anew, or end it "
            f"with `balancer rollout abort {app}`"
        )
    cancel(connection, app, now)
    weights, control, expected = before.phase.weights, before.control, before.expected_visitors
    return start(connection, app, weights, control, expected, now, replace(before.brief, rollout=False))


def take_down(connection: Connection, ended: Split, now: datetime) -> None:
    """Let the branch drain that was made for a split that is over, unless visitors see it for another reason."""
    app, made = apps.get(connection, ended.app), ended.brief.made
    if made is None or made in (app.default_branch, app.promoted):
        return
    release = releases.live(connection, app.name).get(made)
    if release is not None:
        releases.drain(connection, release.id, now)


def latest(connection: Connection, app: AppName) -> Split:
    """Return the split that is not over, else the one that ended last. Raises SplitNotFound, AppNotFound."""
    apps.get(connection, app)
    found = _newest(connection, _T.c.app == app)
    if found is None:
        raise SplitNotFound(f"{app} has had no split yet; begin one with `balancer split start {app} …`")
    return found  # one is open at a time, so the one with the highest number is both


def won_by(connection: Connection, app: AppName, winner: BranchName) -> Split | None:
    """Return the split of an app that a branch has won last."""
    return _newest(connection, and_(_T.c.app == app, _T.c.winner == winner))


def open_if(connection: Connection, app: AppName, split: SplitId) -> Split | None:
    """Return the split of an app that is not over, which is to be `split`.

    Raises IllegalTransition where another one runs by now, AppNotFound.
    """
    found = open_of(connection, app)
    if found is not None and found.id != split:
        raise IllegalTransition(f"the split {split} is over by now, and {found.id} runs")
    return found


def every(connection: Connection, app: AppName) -> tuple[Split, ...]:
    """Return every split of an app, the newest first. Raises AppNotFound."""
    apps.get(connection, app)
    return _read(connection, _T.c.app == app)[::-1]


def of_id(connection: Connection, app: AppName, split: SplitId) -> Split:
    """Return one split of an app. Raises SplitNotFound, AppNotFound."""
    apps.get(connection, app)
    found = _read(connection, and_(_T.c.app == app, _T.c.id == split.number))
    if not found:
        raise SplitNotFound(f"{app} has had no split {split}; `balancer split list {app}` shows those it had")
    return found[0]


def not_over(
    connection: Connection, make: Callable[[AnyRow, tuple[AnyRow, ...]], Split] = rows.split
) -> tuple[Split, ...]:
    """Return every split that runs or is paused, oldest first; `make` gives the split of a row and of its phases."""
    return _read(connection, tables.is_open, make)


def without_report(connection: Connection) -> tuple[Split, ...]:
    """Return every split that is over and of which no report is kept, oldest first."""
    kept = select(tables.reports.c.split)
    return _read(connection, and_(_T.c.ended_at.is_not(None), _T.c.id.not_in(kept)))


def open_of(connection: Connection, app: AppName) -> Split | None:
    """Return the split of an app that is not over. Raises AppNotFound."""
    apps.get(connection, app)
    return next(iter(_read(connection, and_(_T.c.app == app, tables.is_open))), None)


def _read(
    connection: Connection,
    wanted: ColumnElement[bool],
    make: Callable[[AnyRow, tuple[AnyRow, ...]], Split] = rows.split,
) -> tuple[Split, ...]:
    """Return splits, oldest first."""
    phases = defaultdict(list)
    for phase in connection.execute(_PHASES.join(_T).where(wanted)):
        phases[phase.split].append(phase)
    found = connection.execute(select(_T).where(wanted).order_by(_T.c.id))
    return tuple(make(row, tuple(phases[row.id])) for row in found)


def _newest(connection: Connection, wanted: ColumnElement[bool]) -> Split | None:
    number = connection.execute(select(func.max(_T.c.id)).where(wanted)).scalar_one()
    return None if number is None else _read(connection, _T.c.id == number)[0]


def _steered_by(connection: Connection, split: Split) -> str | None:
    """Return by what the weights of a split are set, and its end made: "rollout", "bandit", or None for people."""
    for noun, table, going_on in (
        ("rollout", tables.rollouts, tables.goes_on),
        ("bandit", tables.bandits, tables.bandit_goes_on),
    ):
        if connection.execute(select(table.c.id).where(table.c.split == split.id.number, going_on)).first():
            return noun
    return None


def _require_open(connection: Connection, app: AppName) -> Split:
    split = open_of(connection, app)
    if split is None:
        raise SplitNotFound(f"{app} has no running split; begin one with `balancer split start {app} …`")
    return split


def _set_state(connection: Connection, app: AppName, before: SplitState, after: SplitState) -> Split:
    split = _require_open(connection, app)
    if split.state is not before:
        raise IllegalTransition(f"the split {split.id} of {app} is {split.state.value} already")
    connection.execute(update(_T).where(_T.c.id == split.id.number).values(state=after.value))
    return of_id(connection, app, split.id)


def _end(
    connection: Connection, split: Split, state: SplitState, now: datetime, winner: BranchName | None = None
) -> Split:
    ended = {"state": state.value, "ended_at": now, "winner": winner}
    connection.execute(update(_T).where(_T.c.id == split.id.number).values(ended))
    return of_id(connection, split.app, split.id)


def _check(connection: Connection, app: AppName, phase: Phase, control: BranchName) -> None:
    """Raise unless the control is among the branches of `phase`, and each of them is live."""
    if control not in phase.weights:
        raise InvalidWeights(f"the control {control} must stay one of the branches of the split; a weight of 0 will do")
    _require_live(connection, app, phase.weights)


def _require_live(connection: Connection, app: AppName, branches: Iterable[BranchName]) -> None:
    live = releases.live(connection, app)
    for branch in branches:
        if branch not in live:
            raise BranchNotFound(f"{app} has no live branch {branch}; push it first (`git push balancer {branch}`)")


def _add_phase(connection: Connection, number: int, phase: Phase) -> None:
    connection.execute(
        insert(tables.phases).values(
            split=number,
            number=phase.number,
            weights=rows.weights_text(phase.weights),
            started_at=phase.started_at,
        )
    )
