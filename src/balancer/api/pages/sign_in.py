"""The page where one signs in; what becomes of its form is in `api/sessions.py`.

A link of `balancer open` leads here with a code. Following it signs nobody in: somebody could be led to a code of
somebody else's, and would go on under that name. The page has a button, whose form a page of ours has to send; where
the browser says that no other page has led here (Sec-Fetch-Site), a script presses it.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from balancer.api.pages.rendering import page
from balancer.api.sessions import inside, session_of, was_signed_in
from balancer.errors import BalancerError

router = APIRouter()


@router.get("/sign-in")
async def sign_in(
    request: Request,
    wanted: Annotated[str, Query(alias="next")] = "/",
    code: str | None = None,
    ended: Annotated[bool, Query(description="Say that a session has ended.")] = False,
) -> Response:
    """Ask for a token, or whether to sign in by a code; who is signed in already goes on."""
    if await session_of(request) is not None:
        return RedirectResponse(inside(wanted), 303)
    if code is None:
        # A browser that has a session of ours, which is none any more, was signed in before.
        ended = ended or was_signed_in(request)
        return await page(request, "sign_in.html", wanted=wanted, error=None, ended=ended)
    # "none": by the address itself, from a bookmark, or because a program has opened it.
    by_itself = request.headers.get("sec-fetch-site") == "none"
    return await page(request, "follow_link.html", code=code, wanted=inside(wanted), by_itself=by_itself)


async def refused(
    request: Request, error: BalancerError, wanted: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Ask again, and say what was wrong with what came."""
    return await page(
        request, "sign_in.html", status=error.status, headers=headers, wanted=wanted, error=str(error), ended=False
    )
