"""Branches: listed, taken down, made the default one."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.routing import branch_host
from balancer.services.interfaces import Tell
from balancer.wire.apps import AppBody, DefaultBranch
from balancer.wire.releases import BranchBody, Progress, ReleaseBody

router = APIRouter()


@router.get("/apps/{app}/branches")
async def branches(on: On, app: str) -> list[BranchBody]:
    """List the live branches of an app."""
    found = await on.registry.app(AppName(app))
    split = (await on.registry.snapshot()).split_of(found.name)
    merge = await on.merges.waiting(found.name)
    return [
        BranchBody.of(
            release,
            default=branch == found.default_branch,
            weight=split.phase.weights.get(branch) if split else None,
            url=f"http://{branch_host(found.name, branch, on.domain)}{on.site}/",
            promoted=branch == found.promoted,
            merge=merge if branch == found.promoted else None,
        )
        for branch, release in (await on.branches.live(found.name)).items()
    ]


@router.delete("/apps/{app}/branches/{branch:path}")
async def delete_branch(on: On, app: str, branch: str) -> StreamingResponse:
    """Take a branch down; a stream of Progress, a JSON object a line."""
    name, chosen = AppName(app), BranchName(branch)

    async def work(tell: Tell) -> Progress:
        return Progress(release=ReleaseBody.of(await on.branches.remove_and_settle(name, chosen, tell)))

    return progress_of(work)


@router.put("/apps/{app}/default-branch")
async def set_default_branch(on: On, app: str, default: DefaultBranch) -> AppBody:
    """Make a live branch what visitors see outside a split."""
    changed = await on.branches.set_default(AppName(app), BranchName(default.branch))
    return AppBody.of(changed, on.urls(changed))
