"""Instances in the registry: each function a part of one transaction.

Invariants:
    * An instance only moves as the domain allows.
    * A port is held by one instance that is not stopped, at most.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from balancer.domain.app import AppName, BranchName
from balancer.domain.manifest import ProcessType
from balancer.domain.release import Instance, InstanceState, ProcessId, check_instance_move
from balancer.errors import Conflict, IllegalTransition, NotFound, ReleaseNotFound
from balancer.store import rows, tables
from balancer.store.rows import AnyRow

_T = tables.instances


def add(connection: Connection, release_id: int, process: ProcessType, index: int, port: int) -> Instance:
    """Add a starting instance. Raises ReleaseNotFound, Conflict where another holds the port."""
    if connection.scalar(select(tables.releases.c.id).where(tables.releases.c.id == release_id)) is None:
        raise ReleaseNotFound(f"there is no release with the id {release_id}")
    if port in leased_ports(connection):
        raise Conflict(f"the port {port} is held by another instance; lease another one")
    added = insert(_T).values(
        release_id=release_id, type=process, idx=index, port=port, state=InstanceState.STARTING.value
    )
    return get(connection, connection.execute(added.returning(_T.c.id)).scalar_one())


def get(connection: Connection, instance_id: int) -> Instance:
    """Return one instance. Raises NotFound."""
    row = connection.execute(select(_T).where(_T.c.id == instance_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no instance with the id {instance_id}")
    return rows.instance(row)


def not_stopped(connection: Connection, make: Callable[[AnyRow], Instance] = rows.instance) -> tuple[Instance, ...]:
    """Return every instance that is not stopped, oldest first; `make` gives the instance of a row."""
    return tuple(map(make, connection.execute(select(_T).where(tables.holds_port).order_by(_T.c.id)).all()))


def of(connection: Connection, release_id: int) -> tuple[Instance, ...]:
    """Return the instances of a release that are not stopped, oldest first."""
    wanted = select(_T).where(_T.c.release_id == release_id, tables.holds_port).order_by(_T.c.id)
    return tuple(rows.instance(row) for row in connection.execute(wanted))


def standing_by(connection: Connection, app: AppName, branch: BranchName) -> tuple[Instance, ...]:
    """Return the instances of a branch that stand by."""
    of_branch = select(tables.releases.c.id).where(tables.releases.c.app == app, tables.releases.c.branch == branch)
    wanted = select(_T).where(_T.c.release_id.in_(of_branch), _T.c.state == InstanceState.STANDBY.value)
    return tuple(rows.instance(row) for row in connection.execute(wanted.order_by(_T.c.id)))


def leased_ports(connection: Connection) -> frozenset[int]:
    """Return the ports of all instances that are not stopped."""
    return frozenset(connection.scalars(select(_T.c.port).where(tables.holds_port)))


def record_process(connection: Connection, instance_id: int, process: ProcessId) -> None:
    """Note the process that an instance now is. Raises NotFound."""
    get(connection, instance_id)
    now_is = {"boot_id": process.boot_id, "pid": process.pid, "start_ticks": process.start_ticks}
    connection.execute(update(_T).where(_T.c.id == instance_id).values(now_is))


def record_host(connection: Connection, instance_id: int, host: str) -> None:
    """Note the address on which an instance answers. Raises NotFound."""
    get(connection, instance_id)
    connection.execute(update(_T).where(_T.c.id == instance_id).values(host=host))


def replace(connection: Connection, instance_id: int, port: int, now: datetime) -> Instance:
    """Open an instance on another port in the place of one, unhealthy until it answers, and return it.

    Raises NotFound; IllegalTransition where that one does not serve; Conflict where another holds the port.
    """
    before = get(connection, instance_id)
    if before.state not in (InstanceState.HEALTHY, InstanceState.UNHEALTHY):
        raise IllegalTransition(f"a {before.state.value} instance is not replaced")
    move(connection, instance_id, InstanceState.STOPPED, now)
    opened = add(connection, before.release_id, before.type, before.index, port)
    move(connection, opened.id, InstanceState.UNHEALTHY, now)
    return get(connection, opened.id)


def move_all(connection: Connection, instance_ids: Iterable[int], state: InstanceState, now: datetime) -> None:
    """Move instances to another state. Raises IllegalTransition, NotFound."""
    for instance_id in instance_ids:
        move(connection, instance_id, state, now)


def move(
    connection: Connection, instance_id: int, state: InstanceState, now: datetime, before: InstanceState | None = None
) -> None:
    """Move an instance to another state; to the one it is in does nothing.

    Raises NotFound, IllegalTransition also where it is not in the state `before` any more.
    """
    instance = get(connection, instance_id)
    if before is not None and instance.state is not before:
        raise IllegalTransition(f"the instance is {instance.state.value} by now, and not {before.value}")
    if instance.state is state:
        return
    check_instance_move(instance.state, state)
    since = {
        "draining_since": now if state is InstanceState.DRAINING else None,
        "standby_since": now if state is InstanceState.STANDBY else None,
    }
    connection.execute(update(_T).where(_T.c.id == instance_id).values(state=state.value, **since))
