"""Targets in the registry: each function a part of one transaction.

Invariants:
    * Address and secret are on the disk only encrypted.
    * What waits for a target goes with it.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Row, delete, func, insert, select

from balancer.domain.app import AppName
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.target import Address, Standing, Target, TargetKind, wants
from balancer.errors import NotFound
from balancer.store import config_vars, tables

_T, _OUTBOX, _NOTICES = tables.targets, tables.outbox, tables.notices


def add(
    connection: Connection,
    cipher: Fernet,
    kind: TargetKind,
    address: Address,
    secret: str | None,
    kinds: Iterable[NoticeKind],
    app: AppName | None,
    now: datetime,
) -> Target:
    """Add a target; the app is there. Raises InvalidInput."""
    row = {
        "kind": kind.value,
        "address": config_vars.seal(cipher, address),
        "secret": config_vars.seal(cipher, secret) if secret else None,
        "kinds": json.dumps(sorted(kinds)),
        "app": app,
        "created_at": now,
    }
    number = connection.execute(insert(_T).values(row)).inserted_primary_key
    assert number is not None
    return get(connection, cipher, number[0])


def get(connection: Connection, cipher: Fernet, target: int) -> Target:
    """Return a target. Raises NotFound."""
    row = connection.execute(select(_T).where(_T.c.id == target)).one_or_none()
    if row is None:
        raise _not_found(target)
    return of_row(cipher, row)


def that_want(connection: Connection, notice: Notice) -> tuple[int, ...]:
    """Return the ids of the targets that want to be told of this."""
    asked = connection.execute(select(_T.c.id, _T.c.kinds, _T.c.app).order_by(_T.c.id))
    return tuple(row.id for row in asked if wants(_kinds(row.kinds), row.app, notice))


def standings(connection: Connection, cipher: Fernet) -> tuple[Standing, ...]:
    """Return all targets, the oldest first, with how it goes with them."""
    counted = select(_OUTBOX.c.target, func.count()).group_by(_OUTBOX.c.target)
    waiting = {row[0]: int(row[1]) for row in connection.execute(counted)}
    return tuple(
        Standing(
            target=of_row(cipher, row),
            waiting=waiting.get(row.id, 0),
            delivered_at=row.delivered_at,
            failure=row.failure,
        )
        for row in connection.execute(select(_T).order_by(_T.c.id))
    )


def remove(connection: Connection, target: int) -> None:
    """Remove a target, with what waits for it. Raises NotFound."""
    connection.execute(delete(_OUTBOX).where(_OUTBOX.c.target == target))
    if not connection.execute(delete(_T).where(_T.c.id == target)).rowcount:
        raise _not_found(target)
    sweep(connection)


def forget_app(connection: Connection, app: AppName) -> None:
    """Remove the targets that are told of one app alone."""
    for target in connection.execute(select(_T.c.id).where(_T.c.app == app)).scalars().all():
        remove(connection, target)


def sweep(connection: Connection) -> None:
    """Remove the notices that nobody waits for, but for those that must not be told again."""
    waiting = select(_OUTBOX.c.notice)
    connection.execute(delete(_NOTICES).where(_NOTICES.c.key.is_(None), _NOTICES.c.id.not_in(waiting)))


def of_row(cipher: Fernet, row: Row[Any]) -> Target:
    """Return the target that a row of the table is."""
    return Target(
        id=row.id,
        kind=TargetKind(row.kind),
        address=Address(config_vars.unseal(cipher, row.address)),
        secret=config_vars.unseal(cipher, row.secret) if row.secret else None,
        kinds=_kinds(row.kinds),
        app=AppName(row.app) if row.app else None,
        created_at=row.created_at,
    )


def _kinds(text: str) -> frozenset[NoticeKind]:
    return frozenset(NoticeKind(kind) for kind in json.loads(text))


def _not_found(target: int) -> NotFound:
    return NotFound(f"there is no target {target}; `balancer notify list` shows those there are")
