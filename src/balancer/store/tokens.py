"""Tokens in the registry, by the digest of their text: each function a part of one transaction."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from balancer.errors import Conflict
from balancer.store import tables

_T = tables.tokens


def put(connection: Connection, name: str, digest: str, now: datetime) -> None:
    """Add a token, or replace the one of this name. Raises Conflict where the digest has another name."""
    owner = name_of(connection, digest)
    if owner not in (None, name):
        raise Conflict(f"this token is there already, as {owner!r}; make a new one for {name!r}")
    connection.execute(delete(_T).where(_T.c.name == name))
    connection.execute(insert(_T).values(name=name, digest=digest, created_at=now))


def name_of(connection: Connection, digest: str) -> str | None:
    """Return the name of the token with this digest, None where there is none."""
    return connection.scalar(select(_T.c.name).where(_T.c.digest == digest))
