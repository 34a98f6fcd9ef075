"""The admin API: the routes of every noun, below `/api`.

Every route needs a token; every failure is an ErrorBody with the status of its error.
"""

from fastapi import APIRouter, Depends, Request

from balancer.api import (
    access,
    apps,
    arrivals,
    audit,
    bandits,
    branches,
    config_vars,
    cron,
    deploys,
    event_rows,
    events,
    formations,
    freezes,
    instances,
    keys,
    logs,
    metrics,
    plans,
    releases,
    rollouts,
    runs,
    sign_in_links,
    sources,
    splits,
    stats,
    status,
    targets,
    tokens,
)
from balancer.api.platform import platform_of


async def _with_token(request: Request) -> None:
    await access.check(request, platform_of(request).registry)


router = APIRouter(prefix="/api", dependencies=[Depends(_with_token)])
for noun in (
    status,
    apps,
    arrivals,
    bandits,
    branches,
    config_vars,
    cron,
    deploys,
    event_rows,
    events,
    formations,
    freezes,
    releases,
    rollouts,
    runs,
    instances,
    keys,
    audit,
    targets,
    tokens,
    sign_in_links,
    sources,
    splits,
    metrics,
    stats,
    plans,
    logs,
):
    router.include_router(noun.router)
