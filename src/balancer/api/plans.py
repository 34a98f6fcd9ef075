"""Plans of splits."""

from typing import Annotated

from fastapi import APIRouter, Query

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.services.planning import SplitPlan
from balancer.wire.plans import WishBody

router = APIRouter()


@router.get("/apps/{app}/plan")
async def plan(on: On, app: str, wish: Annotated[WishBody, Query()]) -> SplitPlan:
    """Tell how many visitors and days a split would need, and what it could show in 14 days."""
    return await on.planning.plan(AppName(app), wish.parsed())
