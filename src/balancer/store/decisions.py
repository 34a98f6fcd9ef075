"""Decisions that are kept, of rollouts and of bandits: each function a part of one transaction.

Invariant: a decision that was written never changes, and is numbered from 1 on among those of its owner.
"""

from datetime import datetime

from sqlalchemy import Column, Connection, func, insert, select


def of(connection: Connection, owner: Column[int], number: int) -> tuple[str, ...]:
    """Return what was decided of one rollout or bandit, the oldest first; `owner` is the column that says of which."""
    table = owner.table
    return tuple(connection.execute(select(table.c.body).where(owner == number).order_by(table.c.number)).scalars())


def keep(connection: Connection, owner: Column[int], number: int, body: str, now: datetime) -> None:
    """Keep a decision behind those that are there."""
    table = owner.table
    last = connection.execute(select(func.coalesce(func.max(table.c.number), 0)).where(owner == number)).scalar_one()
    connection.execute(insert(table).values({owner.name: number, "number": last + 1, "at": now, "body": body}))
