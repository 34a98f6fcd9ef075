"""Config vars in the registry, of apps and of releases: each function a part of one transaction.

Invariants:
    * A value is on the disk only encrypted.
    * The vars of a release never change.
"""

import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, delete, insert, select

from balancer.domain.app import AppName, ConfigChanges
from balancer.errors import HostUnfit
from balancer.store import apps, tables


def read(connection: Connection, cipher: Fernet, app: AppName) -> dict[str, str]:
    """Return the config vars of an app, by name. Raises AppNotFound."""
    apps.get(connection, app)
    vars_of_app = select(tables.config).where(tables.config.c.app == app).order_by(tables.config.c.key)
    return {row.key: unseal(cipher, row.value) for row in connection.execute(vars_of_app)}


def change(connection: Connection, cipher: Fernet, app: AppName, changes: ConfigChanges) -> dict[str, str]:
    """Set the config vars in `changes`, remove those that are None there, return all. Raises AppNotFound."""
    apps.get(connection, app)
    for key, value in changes.items():
        connection.execute(delete(tables.config).where(tables.config.c.app == app, tables.config.c.key == key))
        if value is not None:
            connection.execute(insert(tables.config).values(app=app, key=key, value=seal(cipher, value)))
    return read(connection, cipher, app)


def replace(connection: Connection, cipher: Fernet, app: AppName, config: Mapping[str, str]) -> None:
    """Make `config` all the config vars of an app. Raises AppNotFound."""
    gone = {key: None for key in read(connection, cipher, app) if key not in config}
    change(connection, cipher, app, {**gone, **config})


def changed(config: Mapping[str, str], changes: ConfigChanges) -> dict[str, str]:
    """Return `config` as `changes` make it."""
    return {key: value for key, value in sorted({**config, **changes}.items()) if value is not None}


def sealed(cipher: Fernet, config: Mapping[str, str]) -> str:
    """Return config vars as one encrypted text, for a release."""
    return seal(cipher, json.dumps(dict(config)))


def opened(cipher: Fernet, text: str) -> dict[str, str]:
    """Return the config vars that `sealed` hid."""
    config: dict[str, str] = json.loads(unseal(cipher, text))
    return config


def seal(cipher: Fernet, text: str) -> str:
    """Return a text encrypted."""
    return cipher.encrypt(text.encode()).decode()


def unseal(cipher: Fernet, text: str) -> str:
    """Return the text that `seal` hid. Raises HostUnfit."""
    try:
        return cipher.decrypt(text).decode()
    except InvalidToken:
        raise HostUnfit(
            "the config vars cannot be decrypted: the key is not the one they were encrypted with; "
            "put back the key that belongs to this registry"
        ) from None
