"""Public keys in the registry: each function a part of one transaction."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from balancer.domain.key import Key, KeyName, PublicKey
from balancer.errors import Conflict, NotFound
from balancer.store import tables

_T = tables.keys


def add(connection: Connection, name: KeyName, public: PublicKey, now: datetime) -> Key:
    """Add a key. Raises Conflict where the name is taken or the key there."""
    if connection.scalar(select(_T.c.name).where(_T.c.name == name)):
        raise Conflict(f"a key called {name!r} is there already; choose another name, or `balancer keys remove {name}`")
    if owner := connection.scalar(select(_T.c.name).where(_T.c.fingerprint == public.fingerprint)):
        raise Conflict(f"this key is there already, as {owner!r}; nothing is to be done")
    row = {"name": name, "text": public, "fingerprint": public.fingerprint, "created_at": now}
    connection.execute(insert(_T).values(row))
    return Key(name=name, public=public, created_at=now)


def every(connection: Connection) -> tuple[Key, ...]:
    """Return all keys, by name."""
    found = connection.execute(select(_T).order_by(_T.c.name))
    return tuple(Key(name=KeyName(row.name), public=PublicKey(row.text), created_at=row.created_at) for row in found)


def remove(connection: Connection, name: KeyName) -> None:
    """Remove a key. Raises NotFound."""
    if not connection.execute(delete(_T).where(_T.c.name == name)).rowcount:
        raise NotFound(f"no key is called {name!r}; `balancer keys list` shows those there are")
