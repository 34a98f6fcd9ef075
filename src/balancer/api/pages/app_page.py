"""The page of one app, `/apps/APP`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.rendering import page
from balancer.api.platform import On
from balancer.domain.app import AppName

router = APIRouter()


@router.get("/apps/{app}")
async def app_page(on: On, request: Request, app: str) -> Response:
    """Show one app."""
    found = await on.registry.app(AppName(app))
    (standing,) = await on.overviews.of(frozenset({found.name}))
    return await page(request, "app.html", app=standing)
