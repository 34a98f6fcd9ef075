"""Deploys under way: cancelled by somebody else than who waits for them."""

from fastapi import APIRouter, Request

from balancer.api import access
from balancer.api.platform import On
from balancer.domain.app import AppName, BranchName
from balancer.wire.releases import CancelledBody

router = APIRouter()


@router.delete("/apps/{app}/deploys")
async def cancel(on: On, request: Request, app: str, branch: str | None = None) -> CancelledBody:
    """Cancel the deploy of a branch that is under way, the only one where none is named."""
    by = (await access.check(request, on.registry)).name
    found = await on.registry.app(AppName(app))
    chosen = on.deploys.cancel(found.name, None if branch is None else BranchName(branch), by)
    return CancelledBody(app=found.name, branch=chosen)
