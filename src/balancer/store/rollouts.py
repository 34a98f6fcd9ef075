"""Rollouts in the registry: each function a part of one transaction.

Invariants:
    * At most one rollout of an app goes on; it is of the split that is not over.
    * A decision is written with what it does, or neither is; one whose rollout has moved on meanwhile is refused.
    * A decision that was written never changes.
"""

import json
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from balancer.domain.app import AppName, BranchName
from balancer.domain.rollout import ENDED, Goal, Plan, Rollout, RolloutState, Watch
from balancer.domain.split import Brief, SplitId
from balancer.domain.weights import WHOLE
from balancer.errors import IllegalTransition, RolloutNotFound
from balancer.store import apps, left_behind, splits, tables
from balancer.store import decisions as kept
from balancer.store.rows import AnyRow

_T, _OWNER = tables.rollouts, tables.decisions.c.rollout


def start(
    connection: Connection,
    app: AppName,
    branch: BranchName,
    control: BranchName,
    plan: Plan,
    expected_visitors: int,
    brief: Brief,
    ticks: float,
    now: datetime,
) -> Rollout:
    """Begin a rollout, and its split; the split that a rollout has left behind is cancelled.

    Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, CanaryPromoted, IllegalTransition while the one
    before is not ended yet.
    """
    left_behind.clear(connection, app, now)
    weights = weights_of(control, branch, plan.steps[0])
    split = splits.start(connection, app, weights, control, expected_visitors, now, brief)
    for before in _read(connection, and_(_T.c.app == app, tables.goes_on)):
        raise IllegalTransition(
            f"the rollout of {before.branch} of {app} is {before.state.value}, and its split is over: it is ended "
            "within seconds; try again then"
        )
    begun = insert(_T).values(
        app=app,
        branch=branch,
        split=split.id.number,
        plan=_plan_text(plan),
        state=RolloutState.RUNNING.value,
        step=0,
        phase=split.phase.number,
        seconds=0.0,
        step_seconds=0.0,
        ticks=ticks,
    )
    return _get(connection, connection.execute(begun.returning(_T.c.id)).scalar_one())


def weights_of(control: BranchName, branch: BranchName, weight: int) -> dict[BranchName, int]:
    """Return the weights of a split in which the branch has `weight`, in units of 0.01 %."""
    return {control: WHOLE - weight, branch: weight}


def every_open(connection: Connection) -> tuple[Rollout, ...]:
    """Return the rollouts that go on, oldest first."""
    return _read(connection, tables.goes_on)


def of_open_splits(connection: Connection) -> tuple[Rollout, ...]:
    """Return the rollouts whose split is not over, oldest first: those that go on, and what was rolled back."""
    return _read(connection, _T.c.split.in_(select(tables.splits.c.id).where(tables.is_open)))


def latest(connection: Connection, app: AppName) -> Rollout:
    """Return the rollout of an app that goes on, else the one that ended last. Raises RolloutNotFound, AppNotFound."""
    apps.get(connection, app)
    newest = select(func.max(_T.c.id)).where(_T.c.app == app).scalar_subquery()
    found = _read(connection, _T.c.id == newest)
    if not found:
        raise RolloutNotFound(f"{app} has had no rollout yet; begin one with `balancer rollout start {app} BRANCH`")
    return found[0]


def of_split(connection: Connection, split: SplitId) -> Rollout:
    """Return the rollout that a split was begun by."""
    return _read(connection, _T.c.split == split.number)[0]


def watch(connection: Connection, number: int, watched: Watch) -> None:
    """Note how long a rollout has gone on."""
    connection.execute(update(_T).where(_T.c.id == number).values(asdict(watched)))


def move(connection: Connection, before: Rollout, after: Rollout, decision: str | None, now: datetime) -> Rollout:
    """Write what a rollout has become, with the decision that says so.

    Raises IllegalTransition where it is not what it was `before` any more.
    """
    found = _get(connection, before.number)
    if (found.state, found.step, found.phase) != (before.state, before.step, before.phase):
        raise IllegalTransition(
            f"the rollout of {before.branch} of {before.app} has moved on meanwhile: it is {found.state.value}, "
            f"at step {found.step + 1}"
        )
    values = {
        "state": after.state.value,
        "step": after.step,
        "phase": after.phase,
        "reason": after.reason,
        "ended_at": now if after.state in ENDED else None,
        **asdict(after.watch),
    }
    connection.execute(update(_T).where(_T.c.id == before.number).values(values))
    if decision is not None:
        kept.keep(connection, _OWNER, before.number, decision, now)
    return _get(connection, before.number)


def set_phase(connection: Connection, rollout: Rollout, control: BranchName, weight: int, now: datetime) -> int:
    """Give the branch of a rollout its weight, and return the phase in which it has it.

    Raises SplitNotFound, BranchNotFound, InvalidWeights; IllegalTransition where another split runs by now.
    """
    splits.open_if(connection, rollout.app, rollout.split)
    weights = weights_of(control, rollout.branch, weight)
    return splits.set_weights(connection, rollout.app, weights, now).phase.number


def decisions(connection: Connection, number: int) -> tuple[str, ...]:
    """Return what was decided of a rollout, the oldest first."""
    return kept.of(connection, _OWNER, number)


def _get(connection: Connection, number: int) -> Rollout:
    return _read(connection, _T.c.id == number)[0]


def _read(connection: Connection, wanted: ColumnElement[bool]) -> tuple[Rollout, ...]:
    return tuple(map(_rollout, connection.execute(select(_T).where(wanted).order_by(_T.c.id))))


def _rollout(row: AnyRow) -> Rollout:
    return Rollout(
        number=row.id,
        app=AppName(row.app),
        branch=BranchName(row.branch),
        split=SplitId(f"s{row.split}"),
        plan=_plan(row.plan),
        state=RolloutState(row.state),
        step=row.step,
        phase=row.phase,
        watch=Watch(seconds=row.seconds, step_seconds=row.step_seconds, ticks=row.ticks),
        reason=row.reason,
    )


def _plan_text(plan: Plan) -> str:
    return json.dumps(asdict(plan) | {"goal": plan.goal.value})


def _plan(text: str) -> Plan:
    fields = json.loads(text)
    return Plan(**(fields | {"steps": tuple(fields["steps"]), "goal": Goal(fields["goal"])}))
