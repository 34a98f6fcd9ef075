"""Signing in to the pages: a token becomes a session, which a cookie carries.

Invariants:
    * A page sees who is signed in by `session_of`; the API never looks at the cookie.
    * What changes something by a form is done only with the session's CSRF token, from a page of this very origin.
    * The cookie is `HttpOnly; SameSite=Strict; Path=/`; over https also `Secure`, with the prefix `__Host-`, so that no
      app on a neighbouring host can set one in its place.

For a router of pages: `APIRouter(dependencies=[Depends(guard)])`.
"""

import hmac
from typing import cast
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from balancer.api import access
from balancer.api.came import address_of, is_secure
from balancer.api.noting import note_of
from balancer.api.platform import platform_of
from balancer.domain.role import Role
from balancer.domain.session import LIMITS, Session
from balancer.errors import BodyTooLarge, NotSignedIn, PageOutdated

router = APIRouter(include_in_schema=False)
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
"""Where a form, or a script of ours, sends the session's CSRF token."""
# 64 KB: no form of ours has more, and who is not signed in may send no more.
_LIMIT_BYTES = 65_536
_NAME = "balancer-session"
# 2,000 characters: as long as a URL that every browser takes.
_LONGEST_PATH = 2000


async def session_of(request: Request) -> Session | None:
    """Return who is signed in, None where nobody is, or no longer.

    That the session was used is noted, but not of a stream: it goes on while nobody sits before the page, and so it is
    asked anew each time whether it has ended. A page is made for whoever was signed in when it was asked for.
    """
    by_stream = "text/event-stream" in request.headers.get("accept", "")
    if not by_stream and hasattr(request.state, "session"):
        return cast("Session | None", request.state.session)
    secret = request.cookies.get(_cookie_name(request), "")
    request.state.session = session = await platform_of(request).sessions.find(secret, is_use=not by_stream)
    return session


def was_signed_in(request: Request) -> bool:
    """Tell whether the browser has the cookie of a session, whatever has become of that."""
    return _cookie_name(request) in request.cookies


def csrf_of(session: Session) -> str:
    """Return what the forms of the session's pages are to send in their field CSRF_FIELD."""
    return session.csrf


def require(session: Session | None, role: Role) -> Session:
    """Return the session if it is one, with this role at least. Raises NotSignedIn, Forbidden."""
    if session is None:
        raise NotSignedIn
    access.require(session.name, session.role, role)
    return session


async def guard(request: Request) -> None:
    """Let through who is signed in, and what changes something only of an operator, sent by a page of ours.

    Raises NotSignedIn, Forbidden, PageOutdated, BodyTooLarge.
    """
    reads = request.method in access.READING
    session = require(await session_of(request), Role.READER)
    note_of(request).who = f"token {session.name}"
    require(session, Role.READER if reads else Role.OPERATOR)
    if not reads:
        await _check_sender(request, session)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, of those that are there twice the last. Raises BodyTooLarge."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or int(length) > _LIMIT_BYTES:
        raise BodyTooLarge(f"the form is too large: {_LIMIT_BYTES} bytes are possible, and Content-Length is needed")
    fields = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


async def sign_in(request: Request) -> Response:
    """Sign in with the field `token` of a form, or `code`, and go on to the page that `next` names, or to the first.

    Raises SignInRefused, TooManyAttempts, PageOutdated where another site sent the form, BodyTooLarge.
    """
    _check_origin(request)
    form, on = await form_of(request), platform_of(request)
    if "code" in form:
        session, secret = await on.sign_in_links.follow(form["code"], address_of(request))
    else:
        session, secret = await on.sessions.sign_in(form.get("token", "").strip(), address_of(request))
    note_of(request).who = f"token {session.name}"
    if (before := await session_of(request)) is not None:
        await on.sessions.sign_out(before)
    answer = RedirectResponse(inside(form.get("next", "")), 303)
    # No longer than the session can last; that it has ended earlier is known here alone.
    seconds = int(LIMITS[session.role].whole.total_seconds())
    answer.set_cookie(
        _cookie_name(request), secret, seconds, httponly=True, samesite="strict", secure=is_secure(request)
    )
    return answer


async def sign_out(request: Request) -> Response:
    """End the session, here and in the browser. Raises PageOutdated where no page of the session asked for it."""
    session = await session_of(request)
    if session is not None:
        note_of(request).who = f"token {session.name}"
        await _check_sender(request, session)
        await platform_of(request).sessions.sign_out(session)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(_cookie_name(request), httponly=True, samesite="strict", secure=is_secure(request))
    return answer


router.post("/sign-in")(sign_in)
router.post("/sign-out")(sign_out)


async def _check_sender(request: Request, session: Session) -> None:
    """Raise PageOutdated unless a page of this session sent the request."""
    _check_origin(request)
    sent = request.headers.get(CSRF_HEADER) or (await form_of(request)).get(CSRF_FIELD, "")
    if not hmac.compare_digest(sent.encode(), csrf_of(session).encode()):
        raise PageOutdated("the page is of a session that has ended")


def _check_origin(request: Request) -> None:
    """Raise PageOutdated where a page of another origin sent the request; every browser says it of a form."""
    origin = request.headers.get("origin", "")
    if urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower() or not origin:
        raise PageOutdated(
            f"it was sent by a page of {origin[:100] or 'nobody knows where'!r}, and not of {request.url.netloc!r} "
            "(a proxy in front has to pass the header Host on)"
        )


def _cookie_name(request: Request) -> str:
    return f"__Host-{_NAME}" if is_secure(request) else _NAME


def inside(path: str) -> str:
    """Return the path if it leads to a page of ours, else that of the first page."""
    parts = urlsplit(path) if len(path) <= _LONGEST_PATH and path.isprintable() else urlsplit("")
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if ours and parts.path else "/"
