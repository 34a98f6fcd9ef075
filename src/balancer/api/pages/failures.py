"""Failures, for browsers: the same words as those of the API and the commands, on a page.

Invariants:
    * Who is not signed in is asked to, and comes back to where they wanted to be, or to where they sent a form from.
    * An address that forms alone are sent to leads to the page of its app.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from balancer.api import access
from balancer.api.noting import note_of
from balancer.api.pages import sign_in
from balancer.api.pages.rendering import page
from balancer.api.sessions import form_of
from balancer.errors import AppNotFound, BalancerError, BodyTooLarge, InvalidName, Unauthorized

# What programs call, whatever they say that they accept.
_OF_PROGRAMS = ("/api/", "/git/", "/hooks/")
_NO_METHOD = 405
_TITLES = {
    400: "This cannot be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    409: "Not now",
    422: "This does not fit",
    429: "Wait a little",
    502: "HAProxy does not answer",
    503: "Not available just now",
}


def is_for_a_browser(request: Request) -> bool:
    """Tell whether whoever sent a request wants to read a page."""
    wants_page = "text/html" in request.headers.get("accept", "")
    return wants_page and not request.url.path.startswith(_OF_PROGRAMS)


async def failed(
    request: Request, error: BalancerError, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a browser with an error: a page that says it, or the one where one signs in."""
    note_of(request).outcome = error.code()
    if request.url.path == "/sign-in":
        return await sign_in.refused(request, error, await _wanted(request, error), headers)
    if isinstance(error, Unauthorized):
        if request.method not in access.READING:  # what was sent is lost, and so has to be said
            return await sign_in.refused(request, error, _left(request), headers)
        wanted = f"{request.url.path}?{request.url.query}".rstrip("?")
        return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}" if wanted != "/" else "/sign-in", 303)
    code = status or error.status
    app = _app_of(request, error)
    if (
        code == _NO_METHOD and app and request.method in access.READING
    ):  # where a form is sent to, typed or loaded again
        return RedirectResponse(f"/apps/{app}", 303)
    title = _TITLES.get(code, "Something went wrong")
    values = {"title": title, "message": str(error), "app": app}
    return await page(request, "error.html", status=code, headers=headers, **values)


def _app_of(request: Request, error: BalancerError) -> str | None:
    """Return the app whose page leads on, where it is a page below it that failed."""
    parts = request.url.path.split("/")
    below_app = len(parts) > 3 and parts[1] == "apps" and not isinstance(error, AppNotFound | InvalidName)
    return parts[2] if below_app else None


def _left(request: Request) -> str:
    """Return the page whose form was sent, to come back to; the first one where the browser does not tell."""
    parts = urlsplit(request.headers.get("referer", ""))
    ours = parts.netloc == request.headers.get("host") and bool(parts.path)
    return f"{parts.path}?{parts.query}".rstrip("?") if ours else "/"


async def _wanted(request: Request, error: BalancerError) -> str:
    """Return where somebody wants to go who could not sign in."""
    if request.method == "POST" and not isinstance(error, BodyTooLarge):
        return (await form_of(request)).get("next", "/")
    return request.query_params.get("next", "/")
