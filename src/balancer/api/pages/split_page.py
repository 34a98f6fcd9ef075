"""The page of the split of an app, `/apps/APP/split`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.rendering import page
from balancer.api.platform import On
from balancer.domain.app import AppName

router = APIRouter()


@router.get("/apps/{app}/split")
async def split_page(on: On, request: Request, app: str) -> Response:
    """Show the split of an app that is not over."""
    found = await on.registry.app(AppName(app))
    (standing,) = await on.overviews.of(frozenset({found.name}))
    return await page(request, "split.html", app=standing)
