"""The page where one signs in; what becomes of its form is in `api/sessions.py`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from balancer.api.pages.rendering import page
from balancer.api.sessions import session_of
from balancer.errors import BalancerError

router = APIRouter()


@router.get("/sign-in")
async def sign_in(request: Request, wanted: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Ask for a token; who is signed in already goes on to the overview."""
    if await session_of(request) is not None:
        return RedirectResponse("/", 303)
    return await page(request, "sign_in.html", wanted=wanted, error=None)


async def refused(request: Request, error: BalancerError, wanted: str) -> Response:
    """Ask again, and say what was wrong with what came."""
    return await page(request, "sign_in.html", status=error.status, wanted=wanted, error=str(error))
