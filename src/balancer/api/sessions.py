"""Signing in to the pages: a token becomes a session, which a cookie carries.

A stand-in, in memory, until the one with roles takes its place.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from balancer.api import access
from balancer.api.platform import platform_of
from balancer.domain.role import Role
from balancer.errors import Unauthorized

router = APIRouter(include_in_schema=False)
CSRF_FIELD = "csrf"
_NAME = "balancer-session"
_sessions: dict[str, "Session"] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in."""

    name: str
    role: Role


async def session_of(request: Request) -> Session | None:
    """Return who is signed in, None where nobody is."""
    return _sessions.get(request.cookies.get(_NAME, ""))


def csrf_of(request: Request) -> str:
    """Return what a form of a page that answers this request is to send in its field CSRF_FIELD."""
    return hmac.new(request.cookies.get(_NAME, "").encode(), b"csrf", hashlib.sha256).hexdigest()


def require(session: Session | None, role: Role) -> Session:
    """Return the session if it is one, with this role at least. Raises Unauthorized."""
    if session is None or not session.role.may(role):
        raise Unauthorized
    return session


async def guard(request: Request) -> None:
    """Let through who is signed in. Raises Unauthorized."""
    require(await session_of(request), Role.READER)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form."""
    return {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in with the field `token` of a form, and go on to the page that `next` names."""
    form = await form_of(request)
    name = await platform_of(request).registry.token_name(access.digest(form.get("token", "")))
    if name is None:
        raise Unauthorized
    secret = secrets.token_urlsafe()
    _sessions[secret] = Session(name=name, role=Role.OPERATOR)
    answer = RedirectResponse(form.get("next") or "/", 303)
    answer.set_cookie(_NAME, secret, httponly=True, samesite="strict")
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    _sessions.pop(request.cookies.get(_NAME, ""), None)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(_NAME, httponly=True, samesite="strict")
    return answer
