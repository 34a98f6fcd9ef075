"""The page of one app, `/apps/APP`: what is live of it, what goes on, and the forms that change it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Trouble, Viewer, forget_said, said_of, viewer_of
from balancer.api.pages.doing import Doing
from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import fragment, page
from balancer.api.platform import On, Platform
from balancer.domain.app import AppName
from balancer.services.app_detail import AppDetail
from balancer.views.arms import arms_of

router = APIRouter()
_PARTS = ("state", "branches", "split", "rollout", "instances", "releases", "audit")
"""Parts that are kept up to date: macros of `app_parts.html`, and ids of their elements; `bandit` has its own file."""


@router.get("/apps/{app}")
async def app_page(on: On, request: Request, app: str) -> Response:
    """Show one app."""
    return await shown(on, request, AppName(app))


@router.get("/apps/{app}/live")
async def app_live(on: On, request: Request, app: str) -> Response:
    """Keep that page up to date."""
    name = AppName(app)
    await on.registry.app(name)
    viewer = await viewer_of(request)
    doing = Doing(on, viewer)

    async def parts() -> Parts:
        detail = await on.app_details.of(name)
        return {**await doing.parts(detail), **_rendered(detail, viewer)}

    return live(request, parts, doing.news)


async def shown(
    on: Platform, request: Request, name: AppName, trouble: Trouble | None = None, status: int = 200
) -> Response:
    """Return the page of an app; with `trouble` in the place of the form that was not done."""
    detail = await on.app_details.of(name)
    viewer = await viewer_of(request)
    said = await said_of(request)
    answer = await page(
        request,
        "app.html",
        status=status,
        detail=detail,
        viewer=viewer,
        parts_of_app=_rendered(detail, viewer),
        doing=await Doing(on, viewer).whole(detail),
        said=said,
        trouble=trouble,
        live=f"/apps/{name}/live",
    )
    if said:
        forget_said(name, answer)
    return answer


def _rendered(detail: AppDetail, viewer: Viewer) -> dict[str, str]:
    name = detail.app.name
    made = {part: fragment("app_parts.html", part, detail, viewer) for part in _PARTS}
    return {
        **made,
        "bandit": fragment("bandit_parts.html", "bandit", name, detail.bandit, viewer, arms_of(detail.bandit)),
    }
