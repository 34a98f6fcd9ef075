"""Links that sign somebody in once: asked for with a token, followed by a browser."""

from fastapi import APIRouter, Request

from balancer.api import access
from balancer.api.platform import On
from balancer.services.sign_in_links import LASTS_SECONDS
from balancer.wire.sign_in import SignInLinkBody

router = APIRouter()


@router.post("/sign-in-links", status_code=201)
async def make_link(on: On, request: Request) -> SignInLinkBody:
    """Make a link that signs a browser in as whoever asks, once, within a minute."""
    token = access.presented(request.headers.get("authorization", ""))
    assert token, "who calls was checked before"
    return SignInLinkBody(path=f"/sign-in?code={on.sign_in_links.make(token)}", seconds=LASTS_SECONDS)
