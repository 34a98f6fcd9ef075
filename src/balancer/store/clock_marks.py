"""The latest clock mark in the registry: each function a part of one transaction.

Invariant: there is one mark at most.
"""

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from balancer.domain.clock_mark import ClockMark
from balancer.store import tables

_T = tables.clock_marks


def get(connection: Connection) -> ClockMark | None:
    """Return the mark that was kept last."""
    row = connection.execute(select(_T)).first()
    return None if row is None else ClockMark(wall=row.wall, ticks=row.ticks, doubted_since=row.doubted_since)


def keep(connection: Connection, mark: ClockMark) -> None:
    """Keep a mark in the place of the one before."""
    connection.execute(delete(_T))
    connection.execute(insert(_T).values(id=1, **asdict(mark)))
