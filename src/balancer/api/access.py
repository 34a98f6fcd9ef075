"""Who may use the admin API: a token, as Bearer or as the password of Basic (which git sends).

Invariants:
    * Without a valid token nothing of the platform is told, not even whether an app exists.
    * A reader gets what GET answers, but not the routes in REVEALING, and may fetch by git; everything else needs an
      operator, also a route that is added tomorrow.
    * A cookie counts for nothing here.
"""

import base64
from dataclasses import dataclass

from fastapi import Request

from balancer.api.noting import note_of, route_of
from balancer.domain.role import Role
from balancer.domain.token import TokenName, digest
from balancer.errors import Forbidden, Unauthorized
from balancer.services.registry import Registry

READING = ("GET", "HEAD", "OPTIONS")
REVEALING = frozenset(
    {
        "GET /api/apps/{app}/config",  # the values of the config vars
        "GET /api/apps/{app}/remote",  # the operator's own token
        "GET /api/apps/{app}/source",  # the secret that a provider proves itself with
        "GET /api/apps/{app}/events/export",  # every visitor there was, in a file that no erasure reaches any more
    }
)
"""What only reads, and yet is for an operator alone: the answer lets somebody do, or know, more than a reader may."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    name: TokenName
    role: Role

    @property
    def who(self) -> str:
        """Them, in the audit log."""
        return f"token {self.name}"


async def check(request: Request, registry: Registry) -> Caller:
    """Return who calls. Raises Unauthorized without a valid token, Forbidden where its role is not enough."""
    text = presented(request.headers.get("authorization", ""))
    token = await registry.token(digest(text)) if text else None
    if token is None:
        raise Unauthorized
    caller = Caller(token.name, token.role)
    note_of(request).who = caller.who
    require(caller.name, caller.role, needed(request))
    return caller


def require(name: TokenName, role: Role, needed: Role) -> None:
    """Raise Forbidden where `role` is not enough."""
    if not role.may(needed):
        raise Forbidden(
            f"the token {name!r} has the role {role.value}, and this needs the role {needed.value}; use an operator's "
            "token, or ask an operator to do it (`balancer tokens list` shows which token has which role)"
        )


def needed(request: Request) -> Role:
    """Return the role that a request needs: an operator's unless it only reads, and nothing that is secret."""
    route = route_of(request.scope)
    if route == "POST /api/sign-in-links":  # it lets nobody do more than the token that asks
        return Role.READER
    if route in ("GET /git/{path:path}", "POST /git/{path:path}"):
        return Role.READER if _fetches(request) else Role.OPERATOR
    return Role.READER if request.method in READING and route not in REVEALING else Role.OPERATOR


def _fetches(request: Request) -> bool:
    """Tell whether git reads: clones, fetches, lists refs."""
    if request.method == "POST":
        return request.url.path.endswith("/git-upload-pack")
    return request.query_params.get("service") != "git-receive-pack"


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
