"""Apps: listed, created, shown."""

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.services.interfaces import Tell
from balancer.wire.apps import AppBody, NewApp, PreviewBody, RemoteBody
from balancer.wire.releases import Progress

router = APIRouter()


@router.get("/apps")
async def apps(on: On) -> list[AppBody]:
    """List the apps."""
    return [AppBody.of(app, on.urls(app)) for app in await on.registry.apps()]


@router.post("/apps", status_code=201)
async def create_app(on: On, new: NewApp) -> AppBody:
    """Create an app and its repository."""
    branch = BranchName(new.default_branch) if new.default_branch else None
    app = await on.apps.create(AppName(new.name), branch)
    return AppBody.of(app, on.urls(app))


@router.get("/apps/{app}")
async def show_app(on: On, app: str) -> AppBody:
    """Show an app."""
    found = await on.registry.app(AppName(app))
    return AppBody.of(found, on.urls(found))


@router.delete("/apps/{app}")
async def delete_app(on: On, app: str) -> StreamingResponse:
    """Stop an app, and remove all that is its own; a stream of Progress."""
    name = AppName(app)

    async def work(tell: Tell) -> Progress:
        found = await on.apps.delete(name, tell)
        return Progress(app=AppBody.of(found, on.urls(found)))

    return progress_of(work)


@router.put("/apps/{app}/previews")
async def previews(on: On, app: str, fresh: bool = False) -> list[PreviewBody]:
    """Return what shows each live branch to those who have it; with `fresh` what was given out before ends."""
    found, live = await on.previews.of(AppName(app), fresh=fresh)
    return [
        PreviewBody(
            branch=branch,
            link=f"{on.urls(found)[0]}?balancer={found.preview_key}.{branch.slug}",
            header=f"{found.preview_key}.{branch.slug}",
        )
        for branch in live
    ]


@router.get("/apps/{app}/remote")
async def remote(on: On, app: str, request: Request) -> RemoteBody:
    """Return the URL to push an app to."""
    found = await on.registry.app(AppName(app))
    return RemoteBody(remote=f"http://balancer:{on.token}@{request.url.netloc}/git/{found.name}.git")
