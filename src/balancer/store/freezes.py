"""Freezes in the registry: each function a part of one transaction.

Invariant: a freeze of one app goes with it.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from balancer.domain.app import AppName
from balancer.domain.freeze import Freeze
from balancer.errors import InvalidInput, NotFound
from balancer.store import apps, tables
from balancer.store.rows import AnyRow

_T = tables.freezes
# 366 days, as long as the audit log: a list shows what was frozen a year ago, for who plans this year.
_KEPT_FOR = timedelta(days=366)
# 200: whoever looks after a rollout reads them each second.
_LIMIT = 200


def add(
    connection: Connection, app: AppName | None, since: datetime, until: datetime, why: str, now: datetime
) -> Freeze:
    """Add a freeze, and remove those that are long over. Raises AppNotFound, InvalidInput."""
    if app is not None:
        apps.get(connection, app)
    Freeze(number=0, app=app, since=since, until=until, why=why)  # so that none is kept that cannot be read
    connection.execute(delete(_T).where(_T.c.until < now - _KEPT_FOR))
    if len(every(connection)) >= _LIMIT:
        raise InvalidInput(f"there are {_LIMIT} freezes already: remove some, `balancer freeze remove NUMBER`")
    values = {"app": app, "since": since, "until": until, "why": why}
    number = connection.execute(insert(_T).values(**values).returning(_T.c.id)).scalar_one()
    return next(each for each in every(connection) if each.number == number)


def every(connection: Connection) -> tuple[Freeze, ...]:
    """Return the freezes there are, the one that begins first first."""
    return tuple(map(_freeze, connection.execute(select(_T).order_by(_T.c.since, _T.c.id))))


def remove(connection: Connection, number: int) -> None:
    """Remove a freeze. Raises NotFound."""
    if not connection.execute(delete(_T).where(_T.c.id == number)).rowcount:
        raise NotFound(f"there is no freeze {number}; `balancer freeze list` shows those there are")


def forget_app(connection: Connection, app: AppName) -> None:
    """Remove the freezes of one app."""
    connection.execute(delete(_T).where(_T.c.app == app))


def _freeze(row: AnyRow) -> Freeze:
    return Freeze(
        number=row.id, app=AppName(row.app) if row.app else None, since=row.since, until=row.until, why=row.why
    )
