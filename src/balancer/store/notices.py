"""Notices in the registry, and which of them wait for whom: each function a part of one transaction.

Invariants:
    * A notice waits for every target that wants it, from the moment it is there until it was taken or given up.
    * What waits for a target goes in the order in which it happened: only the oldest is due.
    * A notice whose key is there already is not told.
"""

import json
import secrets
from datetime import datetime, timedelta

from cryptography.fernet import Fernet
from sqlalchemy import Connection, delete, func, insert, select, update

from balancer.domain.app import AppName
from balancer.domain.notice import KeptNotice, Notice, NoticeKind
from balancer.domain.target import WAITING_LIMIT, Delivery, is_due, next_attempt
from balancer.store import tables, targets

_T, _OUTBOX, _TARGETS = tables.notices, tables.outbox, tables.targets
# A year: no split that runs for longer is told of twice a year later.
_KEYS_KEPT_FOR = timedelta(days=365)


def new_id() -> str:
    """Return an id that no other notice has, of no other platform either."""
    return f"msg_{secrets.token_hex(12)}"


def post(connection: Connection, notice: Notice, now: datetime) -> int:
    """Keep a notice for the targets that want it; return how many older ones had to give way."""
    _forget_old_keys(connection, now)
    if notice.key is not None and connection.scalar(select(_T.c.id).where(_T.c.key == notice.key)) is not None:
        return 0
    wanted_by = targets.that_want(connection, notice)
    if not wanted_by and notice.key is None:
        return 0
    row = {"uid": new_id(), "key": notice.key, "at": now, "kind": notice.kind.value, "app": notice.app}
    made = connection.execute(insert(_T).values(**row, text=notice.text, facts=_facts_text(notice)))
    assert made.inserted_primary_key is not None
    for target in wanted_by:
        waits = {"target": target, "notice": made.inserted_primary_key[0], "attempts": 0, "next_at": now}
        connection.execute(insert(_OUTBOX).values(waits))
    return sum(_make_room(connection, target) for target in wanted_by)


def due(connection: Connection, cipher: Fernet, now: datetime) -> tuple[Delivery, ...]:
    """Return what is to be delivered now: the oldest of each target, those first that have waited longest."""
    oldest = select(_OUTBOX.c.target, func.min(_OUTBOX.c.notice).label("notice")).group_by(_OUTBOX.c.target).subquery()
    waiting = (
        select(_OUTBOX, _T.c.uid, _T.c.at, _T.c.kind, _T.c.app, _T.c.text, _T.c.facts)
        .join(oldest, (_OUTBOX.c.target == oldest.c.target) & (_OUTBOX.c.notice == oldest.c.notice))
        .join(_T, _T.c.id == _OUTBOX.c.notice)
        .order_by(_OUTBOX.c.next_at)
    )
    return tuple(
        Delivery(
            target=targets.get(connection, cipher, row.target),
            kept=KeptNotice(
                id=row.uid,
                at=row.at,
                notice=Notice(
                    kind=NoticeKind(row.kind),
                    app=AppName(row.app) if row.app else None,
                    text=row.text,
                    facts=json.loads(row.facts),
                ),
            ),
            attempts=row.attempts,
        )
        for row in connection.execute(waiting).all()
        if is_due(row.next_at, now)
    )


def settle(
    connection: Connection, delivery: Delivery, failure: str | None, now: datetime, gone: bool
) -> datetime | None:
    """Note how an attempt has ended; return when the next one is, None where there is none, or the target is gone."""
    target = delivery.target.id
    of_target = update(_TARGETS).where(_TARGETS.c.id == target)
    if failure is None:
        connection.execute(of_target.values(delivered_at=now, failure=None))
        next_at = None
    else:
        connection.execute(of_target.values(failure=failure))
        next_at = None if gone else next_attempt(delivery.attempts + 1, delivery.kept.at, now)
    number = select(_T.c.id).where(_T.c.uid == delivery.kept.id).scalar_subquery()
    waits = (_OUTBOX.c.target == target, _OUTBOX.c.notice == number)
    if next_at is None:
        connection.execute(delete(_OUTBOX).where(*waits))
        targets.sweep(connection)
    else:
        tried = update(_OUTBOX).where(*waits)
        connection.execute(tried.values(attempts=delivery.attempts + 1, next_at=next_at))
    return next_at


def _make_room(connection: Connection, target: int) -> int:
    """Give up the oldest that wait for a target where there are too many; return how many those are."""
    waiting = select(_OUTBOX.c.notice).where(_OUTBOX.c.target == target)
    kept = waiting.order_by(_OUTBOX.c.notice.desc()).limit(WAITING_LIMIT).subquery()
    too_old = delete(_OUTBOX).where(_OUTBOX.c.target == target, _OUTBOX.c.notice.not_in(select(kept.c.notice)))
    gone = connection.execute(too_old).rowcount
    if gone:
        targets.sweep(connection)
    return gone


def _facts_text(notice: Notice) -> str:
    """Return facts as JSON; one that is none is written as text, so that it breaks nothing of what it tells of."""
    return json.dumps(dict(notice.facts), default=str)


def _forget_old_keys(connection: Connection, now: datetime) -> None:
    old = delete(_T).where(_T.c.key.is_not(None), _T.c.at < now - _KEYS_KEPT_FOR)
    connection.execute(old.where(_T.c.id.not_in(select(_OUTBOX.c.notice))))
