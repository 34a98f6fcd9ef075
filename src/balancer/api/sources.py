"""Sources: set, shown, removed, pulled by hand."""

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.remote import RemoteUrl
from balancer.domain.source import PullSource
from balancer.services.interfaces import Tell
from balancer.wire.arrivals import NewSource, Pull, SourceBody
from balancer.wire.releases import Progress, ReleaseBody

router = APIRouter()


@router.get("/apps/{app}/source")
async def source(on: On, app: str, request: Request) -> SourceBody:
    """Return what an app follows, and what its provider is to be told."""
    return _body(await on.registry.source(AppName(app)), request)


@router.put("/apps/{app}/source")
async def set_source(on: On, app: str, new: NewSource, request: Request) -> SourceBody:
    """Let an app follow a repository elsewhere; the secret of one before stays."""
    branches = tuple(BranchName(branch) for branch in dict.fromkeys(new.branches))
    return _body(await on.pulls.set(AppName(app), RemoteUrl(new.url), branches), request)


@router.delete("/apps/{app}/source", status_code=204)
async def remove_source(on: On, app: str) -> None:
    """Follow no longer."""
    await on.pulls.remove(AppName(app))


@router.post("/apps/{app}/source/pull")
async def pull(on: On, app: str, body: Pull) -> StreamingResponse:
    """Fetch a branch and deploy what is new; a stream of Progress, a JSON object a line."""
    name, branch = AppName(app), None if body.branch is None else BranchName(body.branch)

    async def work(tell: Tell) -> Progress:
        return Progress(
            release=ReleaseBody.of(await on.pulls.pull(name, branch, tell, during_freeze=body.during_freeze))
        )

    return progress_of(work)


def _body(source: PullSource, request: Request) -> SourceBody:
    return SourceBody.of(source, hook=f"http://{request.url.netloc}/hooks/{source.app}")
