"""Sources in the registry: each function a part of one transaction.

Invariant: the URL, which may have a password in it, and the secret are on the disk only encrypted.
"""

import json
from datetime import datetime

from cryptography.fernet import Fernet
from sqlalchemy import Connection, delete, insert, select

from balancer.domain.app import AppName, BranchName
from balancer.domain.remote import RemoteUrl
from balancer.domain.source import PullSource
from balancer.errors import NotFound
from balancer.store import apps, config_vars, tables

_T = tables.sources


def put(connection: Connection, cipher: Fernet, source: PullSource) -> PullSource:
    """Make `source` that of its app; where there is one its secret stays. Raises AppNotFound."""
    apps.get(connection, source.app)
    old = connection.execute(select(_T).where(_T.c.app == source.app)).one_or_none()
    connection.execute(delete(_T).where(_T.c.app == source.app))
    row = {
        "app": source.app,
        "url": config_vars.seal(cipher, source.remote),
        "secret": old.secret if old else config_vars.seal(cipher, source.secret),
        "branches": json.dumps(source.branches),
        "created_at": source.created_at,
    }
    connection.execute(insert(_T).values(row))
    return get(connection, cipher, source.app)


def get(connection: Connection, cipher: Fernet, app: AppName) -> PullSource:
    """Return the source of an app. Raises NotFound, AppNotFound."""
    apps.get(connection, app)
    row = connection.execute(select(_T).where(_T.c.app == app)).one_or_none()
    if row is None:
        raise NotFound(f"{app} has no source; set one with `balancer source set {app} URL`")
    created_at: datetime = row.created_at
    return PullSource(
        app=app,
        remote=RemoteUrl(config_vars.unseal(cipher, row.url)),
        secret=config_vars.unseal(cipher, row.secret),
        branches=tuple(BranchName(branch) for branch in json.loads(row.branches)),
        created_at=created_at,
    )


def remove(connection: Connection, app: AppName) -> None:
    """Forget the source of an app. Raises NotFound, AppNotFound."""
    apps.get(connection, app)
    if not connection.execute(delete(_T).where(_T.c.app == app)).rowcount:
        raise NotFound(f"{app} has no source; there is nothing to remove")
