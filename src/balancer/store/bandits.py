"""Bandits in the registry: each function a part of one transaction.

Invariants:
    * At most one bandit of an app goes on; it is of the split that is not over.
    * A decision is written with what it does, or neither is; one whose bandit has moved on meanwhile is refused.
    * A decision that was written never changes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from balancer.domain.app import AppName, BranchName
from balancer.domain.bandit import Bandit, BanditPlan, TakenOut, even_weights
from balancer.domain.rollout import ENDED, RolloutState, Watch
from balancer.domain.split import Brief, SplitId
from balancer.errors import BanditNotFound, IllegalTransition
from balancer.store import apps, left_behind, splits, tables
from balancer.store import decisions as kept
from balancer.store.rows import AnyRow

_T, _OWNER = tables.bandits, tables.bandit_decisions.c.bandit


def start(
    connection: Connection,
    app: AppName,
    branches: tuple[BranchName, ...],
    control: BranchName,
    plan: BanditPlan,
    expected_visitors: int,
    brief: Brief,
    ticks: float,
    now: datetime,
) -> Bandit:
    """Begin a bandit, and its split, with even weights; a split that was left behind is cancelled.

    Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, CanaryPromoted, IllegalTransition while the one
    before is not ended yet.
    """
    left_behind.clear(connection, app, now)
    weights = even_weights((control, *branches))
    split = splits.start(connection, app, weights, control, expected_visitors, now, brief)
    for before in _read(connection, and_(_T.c.app == app, tables.bandit_goes_on)):
        raise IllegalTransition(
            f"the bandit of {app} before is {before.state.value}, and its split is over: it is ended within seconds; "
            "try again then"
        )
    begun = insert(_T).values(
        app=app,
        control=control,
        branches=json.dumps(branches),
        split=split.id.number,
        plan=json.dumps(asdict(plan)),
        state=RolloutState.RUNNING.value,
        phase=split.phase.number,
        seconds=0.0,
        step_seconds=0.0,
        ticks=ticks,
        out="[]",
    )
    return _get(connection, connection.execute(begun.returning(_T.c.id)).scalar_one())


def every_open(connection: Connection) -> tuple[Bandit, ...]:
    """Return the bandits that go on, oldest first."""
    return _read(connection, tables.bandit_goes_on)


def latest(connection: Connection, app: AppName) -> Bandit:
    """Return the bandit of an app that goes on, else the one that ended last. Raises BanditNotFound, AppNotFound."""
    apps.get(connection, app)
    newest = select(func.max(_T.c.id)).where(_T.c.app == app).scalar_subquery()
    found = _read(connection, _T.c.id == newest)
    if not found:
        raise BanditNotFound(
            f"{app} has had no bandit yet; begin one with `balancer bandit start {app} BRANCH --metric METRIC`"
        )
    return found[0]


def watch(connection: Connection, number: int, watched: Watch) -> None:
    """Note how long a bandit has gone on."""
    connection.execute(update(_T).where(_T.c.id == number).values(asdict(watched)))


def move(connection: Connection, before: Bandit, after: Bandit, decision: str | None, now: datetime) -> Bandit:
    """Write what a bandit has become, with the decision that says so.

    Raises IllegalTransition where it is not what it was `before` any more.
    """
    found = _get(connection, before.number)
    if (found.state, found.phase, found.out) != (before.state, before.phase, before.out):
        raise IllegalTransition(
            f"the bandit of {before.app} has moved on meanwhile: it is {found.state.value}, in phase {found.phase}"
        )
    values = {
        "state": after.state.value,
        "phase": after.phase,
        "out": _out_text(after.out),
        "reason": after.reason,
        "ended_at": now if after.state in ENDED else None,
        **asdict(after.watch),
    }
    connection.execute(update(_T).where(_T.c.id == before.number).values(values))
    if decision is not None:
        kept.keep(connection, _OWNER, before.number, decision, now)
    return _get(connection, before.number)


def set_phase(connection: Connection, bandit: Bandit, weights: Mapping[BranchName, int], now: datetime) -> int:
    """Give the split of a bandit new weights, and return the phase that has them.

    A branch that is not live any more is left out. Raises SplitNotFound, BranchNotFound, InvalidWeights;
    IllegalTransition where another split runs by now.
    """
    split = splits.open_if(connection, bandit.app, bandit.split)
    there = {each: weight for each, weight in weights.items() if split is None or each in split.variants or weight}
    return splits.set_weights(connection, bandit.app, there, now).phase.number


def decisions(connection: Connection, number: int) -> tuple[str, ...]:
    """Return what was decided of a bandit, the oldest first."""
    return kept.of(connection, _OWNER, number)


def _get(connection: Connection, number: int) -> Bandit:
    return _read(connection, _T.c.id == number)[0]


def _read(connection: Connection, wanted: ColumnElement[bool]) -> tuple[Bandit, ...]:
    return tuple(map(_bandit, connection.execute(select(_T).where(wanted).order_by(_T.c.id))))


def _bandit(row: AnyRow) -> Bandit:
    return Bandit(
        number=row.id,
        app=AppName(row.app),
        control=BranchName(row.control),
        branches=tuple(map(BranchName, json.loads(row.branches))),
        split=SplitId(f"s{row.split}"),
        plan=BanditPlan(**json.loads(row.plan)),
        state=RolloutState(row.state),
        phase=row.phase,
        watch=Watch(seconds=row.seconds, step_seconds=row.step_seconds, ticks=row.ticks),
        out=tuple(TakenOut(branch=BranchName(each["branch"]), reason=each["reason"]) for each in json.loads(row.out)),
        reason=row.reason,
    )


def _out_text(out: tuple[TakenOut, ...]) -> str:
    return json.dumps([asdict(each) for each in out])
