"""The page where one signs in; what becomes of its form is in `api/sessions.py`.

A link of `balancer open` leads here with a code, and the answer to it signs in. It is a page, not a redirect: the
cookie is for pages that one comes to from pages of ours.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from balancer.api.came import address_of
from balancer.api.pages.rendering import page
from balancer.api.platform import On
from balancer.api.sessions import inside, session_of, with_cookie
from balancer.errors import BalancerError

router = APIRouter()


@router.get("/sign-in")
async def sign_in(
    on: On, request: Request, wanted: Annotated[str, Query(alias="next")] = "/", code: str | None = None
) -> Response:
    """Ask for a token, or sign in by a code; who is signed in already goes on."""
    if await session_of(request) is not None:
        return RedirectResponse(inside(wanted), 303)
    if code is None:
        return await page(request, "sign_in.html", wanted=wanted, error=None)
    session, secret = await on.sign_in_links.follow(code, address_of(request))
    answer = await page(request, "signed_in.html", name=session.name, wanted=inside(wanted))
    return with_cookie(answer, request, session, secret)


async def refused(
    request: Request, error: BalancerError, wanted: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Ask again, and say what was wrong with what came."""
    return await page(request, "sign_in.html", status=error.status, headers=headers, wanted=wanted, error=str(error))
