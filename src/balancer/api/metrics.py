"""Metrics: declared by command, listed with those of the manifest, taken back."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.metric import MetricName
from balancer.wire.metrics import MetricBody, MetricStanding

router = APIRouter()


@router.get("/apps/{app}/metrics")
async def metrics(on: On, app: str) -> list[MetricStanding]:
    """List every metric of an app, by name."""
    return [MetricStanding.standing(each) for each in await on.metrics.every(AppName(app))]


@router.get("/apps/{app}/metrics/{name}")
async def metric(on: On, app: str, name: str) -> MetricStanding:
    """Return one metric."""
    return MetricStanding.standing(await on.metrics.one(AppName(app), MetricName(name)))


@router.put("/apps/{app}/metrics/{name}")
async def set_metric(on: On, app: str, name: str, body: MetricBody) -> MetricStanding:
    """Declare a metric; it counts from the next split on."""
    return MetricStanding.standing(await on.metrics.set(AppName(app), body.parsed(name)))


@router.delete("/apps/{app}/metrics/{name}", status_code=204)
async def remove_metric(on: On, app: str, name: str) -> None:
    """Take a metric back that was declared so; that of the manifest counts again."""
    await on.metrics.remove(AppName(app), MetricName(name))
