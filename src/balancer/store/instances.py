"""Instances in the registry: each function a part of one transaction.

Invariants:
    * An instance only moves as the domain allows.
    * A port is held by one instance that is not stopped, at most.
"""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from balancer.domain.release import Instance, InstanceState, ProcessId, check_instance_move
from balancer.errors import Conflict, NotFound, ReleaseNotFound
from balancer.store import rows, tables

_T = tables.instances


def add(connection: Connection, release_id: int, index: int, port: int) -> Instance:
    """Add a starting instance. Raises ReleaseNotFound, Conflict where another holds the port."""
    if connection.scalar(select(tables.releases.c.id).where(tables.releases.c.id == release_id)) is None:
        raise ReleaseNotFound(f"there is no release with the id {release_id}")
    if port in leased_ports(connection):
        raise Conflict(f"the port {port} is held by another instance; lease another one")
    added = insert(_T).values(release_id=release_id, idx=index, port=port, state=InstanceState.STARTING.value)
    return get(connection, connection.execute(added.returning(_T.c.id)).scalar_one())


def get(connection: Connection, instance_id: int) -> Instance:
    """Return one instance. Raises NotFound."""
    row = connection.execute(select(_T).where(_T.c.id == instance_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no instance with the id {instance_id}")
    return rows.instance(row)


def not_stopped(connection: Connection) -> tuple[Instance, ...]:
    """Return every instance that is not stopped, oldest first."""
    found = connection.execute(select(_T).where(tables.holds_port).order_by(_T.c.id))
    return tuple(rows.instance(row) for row in found)


def of(connection: Connection, release_id: int) -> tuple[Instance, ...]:
    """Return the instances of a release that are not stopped, oldest first."""
    wanted = select(_T).where(_T.c.release_id == release_id, tables.holds_port).order_by(_T.c.id)
    return tuple(rows.instance(row) for row in connection.execute(wanted))


def leased_ports(connection: Connection) -> frozenset[int]:
    """Return the ports of all instances that are not stopped."""
    return frozenset(connection.scalars(select(_T.c.port).where(tables.holds_port)))


def record_process(connection: Connection, instance_id: int, process: ProcessId) -> None:
    """Note the process that an instance now is. Raises NotFound."""
    get(connection, instance_id)
    now_is = {"boot_id": process.boot_id, "pid": process.pid, "start_ticks": process.start_ticks}
    connection.execute(update(_T).where(_T.c.id == instance_id).values(now_is))


def move(connection: Connection, instance_id: int, state: InstanceState, now: datetime) -> None:
    """Move an instance to another state; to the one it is in does nothing.

    Raises IllegalTransition, NotFound.
    """
    instance = get(connection, instance_id)
    if instance.state is state:
        return
    check_instance_move(instance.state, state)
    since = now if state is InstanceState.DRAINING else None
    connection.execute(update(_T).where(_T.c.id == instance_id).values(state=state.value, draining_since=since))
