"""Tokens in the registry, by the digest of their text: each function a part of one transaction.

Invariant: the sessions of a token go with it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from balancer.domain.role import Role
from balancer.domain.token import Token, TokenName
from balancer.errors import Conflict, NotFound
from balancer.store import tables

_T = tables.tokens
_S = tables.sessions


def put(connection: Connection, name: TokenName, digest: str, now: datetime) -> None:
    """Make this the operator's token of this name. Raises Conflict where the digest has another name."""
    owner = find(connection, digest)
    if owner is None:
        _remove(connection, name)
        _insert(connection, name, Role.OPERATOR, digest, now)
    elif owner.name != name:
        raise Conflict(f"this token is there already, as {owner.name!r}; make a new one for {name!r}")


def add(connection: Connection, name: TokenName, role: Role, digest: str, now: datetime) -> Token:
    """Add a token. Raises Conflict where the name is taken."""
    if connection.scalar(select(_T.c.name).where(_T.c.name == name)):
        raise Conflict(
            f"a token called {name!r} is there already; choose another name, or `balancer tokens remove {name}` first"
        )
    _insert(connection, name, role, digest, now)
    return Token(name=name, role=role, created_at=now, used_at=None)


def find(connection: Connection, digest: str) -> Token | None:
    """Return the token with this digest, None where there is none."""
    row = connection.execute(select(_T).where(_T.c.digest == digest)).one_or_none()
    return None if row is None else _token(row)


def every(connection: Connection) -> tuple[Token, ...]:
    """Return all tokens, by name."""
    return tuple(map(_token, connection.execute(select(_T).order_by(_T.c.name))))


def use(connection: Connection, digest: str, now: datetime) -> None:
    """Note that a token was used."""
    connection.execute(update(_T).where(_T.c.digest == digest).values(used_at=now))


def remove(connection: Connection, name: TokenName) -> None:
    """Remove a token, and end its sessions. Raises NotFound."""
    if not _remove(connection, name):
        raise NotFound(f"no token is called {name!r}; `balancer tokens list` shows those there are")


def _insert(connection: Connection, name: TokenName, role: Role, digest: str, now: datetime) -> None:
    row = {"name": name, "digest": digest, "role": role.value, "created_at": now}
    connection.execute(insert(_T).values(row))


def _remove(connection: Connection, name: TokenName) -> int:
    its = select(_T.c.digest).where(_T.c.name == name)
    connection.execute(delete(_S).where(_S.c.token.in_(its)))
    return connection.execute(delete(_T).where(_T.c.name == name)).rowcount


def _token(row: Row[Any]) -> Token:
    return Token(name=TokenName(row.name), role=Role(row.role), created_at=row.created_at, used_at=row.used_at)
