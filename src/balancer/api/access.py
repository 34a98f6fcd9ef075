"""Who may use the admin API: a token, as Bearer or as the password of Basic (which git sends).

Invariants:
    * A token is stored and compared by its SHA-256 only.
    * Without a valid token nothing of the platform is told, not even whether an app exists.
"""

import base64
import hashlib
import secrets

from fastapi import Request

from balancer.api.noting import note_of
from balancer.errors import Unauthorized
from balancer.services.registry import Registry

_TOKEN_BYTES = 24


def new_token() -> str:
    """Return a fresh token."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def digest(token: str) -> str:
    """Return the form in which a token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


async def check(request: Request, registry: Registry) -> str:
    """Return the name of the token that the request carries. Raises Unauthorized."""
    token = presented(request.headers.get("authorization", ""))
    name = await registry.token_name(digest(token)) if token else None
    if name is None:
        raise Unauthorized
    note_of(request).who = f"token {name}"
    return name


def presented(header: str) -> str | None:
    """Return the token that an Authorization header carries, None where it carries none."""
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:  # no base64, or what it holds is no text
                return None
        case _:
            return None
