"""Acting: a form of a page becomes a change, and whoever sent it is told what came of it.

Invariants:
    * A change is noted in the audit log as the call of the API that does the same.
    * What fails while whoever asked waits is said where the form was; what takes longer goes on, and the page shows it.
    * What is said after a redirect comes from us: it is signed for the session.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from balancer.api.noting import note_of
from balancer.api.platform import Platform
from balancer.api.sessions import csrf_of, require, session_of
from balancer.domain.app import AppName
from balancer.domain.audit import DONE, FAILED, summary
from balancer.domain.role import Role
from balancer.domain.session import Session
from balancer.errors import BalancerError
from balancer.services.interfaces import Tell

# 3 s: what only changes the registry and HAProxy is done by then, and a form that was filled in wrongly is found out.
_WAIT_SECONDS = 3.0
_COOKIE = "balancer-said"
# A minute: the page that says it is asked for at once.
_SAID_SECONDS = 60
# 1,000 characters: with its signature it fits a cookie, also where each takes three.
_SAID_LIMIT = 1000
BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom a part of a page is made for."""

    operator: bool
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a form was not done, and what was typed into it."""

    form: str
    message: str
    typed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a form asks for."""

    call: str
    """The call of the API that does the same, such as `PATCH /api/apps/{app}/formation`."""
    title: str
    """What is done, such as `Scale: web=3`."""
    done: str
    """What is said once it is done."""
    work: Callable[[Tell], Awaitable[object]]
    sent: Mapping[str, object] = field(default_factory=dict)
    """As the body of that call, for the audit log."""


async def viewer_of(request: Request) -> Viewer:
    """Return whom a page is made for."""
    session = await session_of(request)
    return Viewer(
        operator=session is not None and session.role.may(Role.OPERATOR), csrf=csrf_of(session) if session else ""
    )


async def require_operator(request: Request) -> Session:
    """Return the session of an operator: of pages that only lead to changes. Raises NotSignedIn, Forbidden."""
    return require(await session_of(request), Role.OPERATOR)


async def carry_out(on: Platform, request: Request, app: AppName, change: Change, to: str | None = None) -> Response:
    """Do what a form asks for, and lead to `to`, or to the page of the app. Raises what the change does, at once."""
    note = note_of(request)
    sent: dict[str, object] = {"app": app, **change.sent}
    note.what, note.sent = change.call, sent
    who, is_answered = note.who or "", False

    async def work(tell: Tell) -> None:
        outcome = FAILED
        try:
            await change.work(tell)
            outcome = DONE
        except BalancerError as error:
            outcome = error.code()
            raise
        finally:
            if is_answered:
                said = summary({name: value for name, value in change.sent.items() if name != "app"})
                await on.audit.note(who, change.call, app=app, summary=said, outcome=outcome)

    begun = on.undertakings.begin(app, change.title, work)
    if not await on.undertakings.wait(begun, _WAIT_SECONDS):
        is_answered = True
        note.outcome = BEGUN
        return await redirected(request, app, f"{change.title}: it goes on, and is shown below until it has ended.", to)
    if begun.error is not None:
        on.undertakings.dismiss(begun)
        raise begun.error
    if begun.failure is not None:
        note.outcome = FAILED
        return await redirected(request, app, f"{change.title} failed: {begun.failure}", to)
    on.undertakings.dismiss(begun)
    return await redirected(request, app, change.done, to)


def refused(request: Request, error: BalancerError) -> None:
    """Note that a form was not done; its page says why."""
    note_of(request).outcome = error.code()


async def redirected(request: Request, app: AppName, said: str, to: str | None = None) -> Response:
    """Lead to a page of the app, which says `said`."""
    answer = RedirectResponse(to or f"/apps/{app}", 303)
    session = await session_of(request)
    if session is not None:
        text = quote(said[:_SAID_LIMIT])
        answer.set_cookie(
            *(_COOKIE, f"{_signature(session, text)}.{text}", _SAID_SECONDS),
            path=f"/apps/{app}",
            httponly=True,
            samesite="strict",
        )
    return answer


async def said_of(request: Request) -> str:
    """Return what the page is to say first; empty where nothing was done just now."""
    signature, _, text = request.cookies.get(_COOKIE, "").partition(".")
    session = await session_of(request)
    if session is None or not hmac.compare_digest(signature.encode(), _signature(session, text).encode()):
        return ""
    return unquote(text)


def forget_said(app: AppName, answer: Response) -> None:
    """Let the browser forget what was said: it is said once."""
    answer.delete_cookie(_COOKIE, path=f"/apps/{app}", httponly=True, samesite="strict")


def _signature(session: Session, text: str) -> str:
    with contextlib.suppress(UnicodeEncodeError):
        return hmac.new(csrf_of(session).encode(), text.encode(), hashlib.sha256).hexdigest()
    return ""
