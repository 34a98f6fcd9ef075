"""Sessions in the registry, by the digest of their secret: each function a part of one transaction.

Invariant: of one token there are MOST_PER_TOKEN at most, and none that is older than the longest may be.
"""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from balancer.domain.role import Role
from balancer.domain.session import LONGEST, MOST_PER_TOKEN, Session
from balancer.domain.token import TokenName
from balancer.store import tables

_S, _T = tables.sessions, tables.tokens


def add(connection: Connection, digest: str, token: str, now: datetime) -> Session | None:
    """Begin a session of the token with the digest `token`; None where there is no such token."""
    if not connection.scalar(select(_T.c.name).where(_T.c.digest == token)):
        return None
    connection.execute(delete(_S).where(_S.c.signed_in_at < now - LONGEST))
    newest = select(_S.c.digest).where(_S.c.token == token).order_by(_S.c.signed_in_at.desc(), _S.c.digest)
    kept = newest.limit(MOST_PER_TOKEN - 1)
    connection.execute(delete(_S).where(_S.c.token == token, _S.c.digest.not_in(kept)))
    connection.execute(insert(_S).values(digest=digest, token=token, signed_in_at=now, used_at=now))
    return find(connection, digest)


def find(connection: Connection, digest: str) -> Session | None:
    """Return the session with this digest, over or not; None where there is none."""
    wanted = select(_S, _T.c.name, _T.c.role).join(_T, _T.c.digest == _S.c.token).where(_S.c.digest == digest)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return None
    return Session(
        digest=row.digest,
        name=TokenName(row.name),
        role=Role(row.role),
        signed_in_at=row.signed_in_at,
        used_at=row.used_at,
    )


def use(connection: Connection, digest: str, now: datetime) -> None:
    """Note that a session was used."""
    connection.execute(update(_S).where(_S.c.digest == digest).values(used_at=now))


def end(connection: Connection, digest: str) -> None:
    """End a session; nothing happens where it has ended."""
    connection.execute(delete(_S).where(_S.c.digest == digest))
