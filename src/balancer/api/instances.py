"""Instances of an app."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.processes import age_seconds
from balancer.wire.instances import InstanceBody

router = APIRouter()


@router.get("/apps/{app}/instances")
async def instances(on: On, app: str) -> list[InstanceBody]:
    """List the instances of an app that are not stopped."""
    await on.registry.app(AppName(app))
    snapshot = await on.registry.snapshot()
    running = on.supervisor.running()
    return [
        InstanceBody.of(
            instance,
            release,
            running=instance.id in running,
            up_seconds=age_seconds(instance.process) if instance.process else None,
            end=on.supervisor.exits.get(instance.id),
        )
        for release in snapshot.releases
        if release.app == app
        for instance in snapshot.instances_of(release)
    ]
