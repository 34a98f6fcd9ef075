"""Looks at splits, and the reports of those that are over: each function a part of one transaction.

Invariants:
    * What was written never changes: writing it again gives what is there.
    * The texts are the services' own; nothing here reads them.
"""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from balancer.domain.split import SplitId
from balancer.store import tables

_LOOKS, _REPORTS = tables.looks, tables.reports


def keep(connection: Connection, split: SplitId, at: datetime, body: str) -> None:
    """Keep a look; where there is one of that time, it stays as it is."""
    same = select(_LOOKS.c.at).where(_LOOKS.c.split == split.number, _LOOKS.c.at == at)
    if connection.execute(same).first() is None:
        connection.execute(insert(_LOOKS).values(split=split.number, at=at, body=body))


def of(connection: Connection, split: SplitId) -> tuple[str, ...]:
    """Return the looks at a split, the oldest first."""
    found = select(_LOOKS.c.body).where(_LOOKS.c.split == split.number).order_by(_LOOKS.c.at)
    return tuple(connection.execute(found).scalars())


def keep_report(connection: Connection, split: SplitId, body: str) -> str:
    """Keep the report of a split that is over, and return what is kept: the first one that was."""
    kept = report(connection, split)
    if kept is None:
        connection.execute(insert(_REPORTS).values(split=split.number, body=body))
    return body if kept is None else kept


def report(connection: Connection, split: SplitId) -> str | None:
    """Return the report of a split that is over, None where it was not made yet."""
    return connection.execute(select(_REPORTS.c.body).where(_REPORTS.c.split == split.number)).scalar()
