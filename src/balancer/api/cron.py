"""Cron: the jobs of an app."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.wire.instances import CronBody

router = APIRouter()


@router.get("/apps/{app}/cron")
async def cron(on: On, app: str) -> list[CronBody]:
    """List the cron jobs of an app, with their next and last runs."""
    return [
        CronBody(
            schedule=entry.job.schedule,
            command=entry.job.command,
            next=entry.next,
            running=entry.running,
            last=entry.last.minute if entry.last else None,
            ended_at=entry.last.ended_at if entry.last else None,
            status=entry.last.status if entry.last else None,
            release=entry.last.release if entry.last else None,
        )
        for entry in await on.cron.entries(AppName(app))
    ]
