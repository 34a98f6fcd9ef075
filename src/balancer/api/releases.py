"""Releases: listed, and gone back to."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.services.interfaces import Tell
from balancer.wire.releases import Progress, ReleaseBody, Return

router = APIRouter()


@router.get("/apps/{app}/releases")
async def releases(on: On, app: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[ReleaseBody]:
    """List the releases of an app, newest first."""
    return [ReleaseBody.of(release) for release in await on.registry.releases(AppName(app), limit)]


@router.post("/apps/{app}/rollback")
async def rollback(on: On, app: str, to: Return) -> StreamingResponse:
    """Go back to the release before, or to a given one; a stream of Progress, a JSON object a line."""
    name = AppName(app)
    branch = None if to.branch is None else BranchName(to.branch)

    async def work(tell: Tell) -> Progress:
        return Progress(release=ReleaseBody.of(await on.rollbacks.rollback(name, branch, to.release, tell)))

    return progress_of(work)
