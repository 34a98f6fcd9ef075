"""The audit log in the registry: each function a part of one transaction.

Invariants:
    * An entry never changes; only its age removes it.
    * It stays when its app is gone.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from balancer.domain.app import AppName
from balancer.domain.audit import KEPT_FOR, AuditEntry
from balancer.store import tables

_T = tables.audit


def add(connection: Connection, entry: AuditEntry) -> None:
    """Add an entry, and remove those that are too old."""
    row = {"at": entry.at, "who": entry.who, "what": entry.what, "app": entry.app}
    connection.execute(insert(_T).values(**row, summary=entry.summary, outcome=entry.outcome))
    connection.execute(delete(_T).where(_T.c.at < entry.at - KEPT_FOR))


def last_of(connection: Connection, app: AppName, what: Sequence[str], since: datetime) -> str | None:
    """Return what the newest entry says that is one of `what`, of an app since a time; None where there is none."""
    wanted = select(_T.c.what).where(_T.c.app == app, _T.c.what.in_(what), _T.c.at >= since)
    return connection.scalar(wanted.order_by(_T.c.id.desc()).limit(1))


def newest(connection: Connection, app: AppName | None, since: datetime | None, limit: int) -> tuple[AuditEntry, ...]:
    """Return the newest entries, those of one app where it is named, the newest first."""
    wanted = select(_T).order_by(_T.c.id.desc()).limit(limit)
    if app is not None:
        wanted = wanted.where(_T.c.app == app)
    if since is not None:
        wanted = wanted.where(_T.c.at >= since)
    return tuple(
        AuditEntry(
            at=row.at,
            who=row.who,
            what=row.what,
            app=AppName(row.app) if row.app else None,
            summary=row.summary,
            outcome=row.outcome,
        )
        for row in connection.execute(wanted)
    )
