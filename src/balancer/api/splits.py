"""Splits: begun, changed, shown, ended, reported on."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName, BranchName
from balancer.services.release_report import ReleaseReport
from balancer.services.report import Report
from balancer.wire.splits import SplitBody, WeightsBody

router = APIRouter()


@router.get("/apps/{app}/split")
async def split(on: On, app: str) -> SplitBody:
    """Return the running split, else the one that ended last."""
    return SplitBody.of(await on.registry.split(AppName(app)))


@router.post("/apps/{app}/split", status_code=201)
async def start_split(on: On, app: str, weights: WeightsBody) -> SplitBody:
    """Begin a split."""
    control = BranchName(weights.control) if weights.control else None
    return SplitBody.of(await on.experiments.start(AppName(app), weights.parsed(), control))


@router.patch("/apps/{app}/split")
async def set_weights(on: On, app: str, weights: WeightsBody) -> SplitBody:
    """Give the running split new weights."""
    return SplitBody.of(await on.experiments.set_weights(AppName(app), weights.parsed()))


@router.delete("/apps/{app}/split")
async def cancel_split(on: On, app: str) -> SplitBody:
    """End the running split."""
    return SplitBody.of(await on.experiments.cancel(AppName(app)))


@router.get("/apps/{app}/report")
async def report(on: On, app: str) -> Report:
    """Compare the variants of the running split, else of the one that ended last."""
    return await on.reports.of(AppName(app))


@router.get("/apps/{app}/report/releases")
async def report_by_release(on: On, app: str) -> ReleaseReport:
    """Show the same split by the release that each visitor was exposed by; exploratory."""
    return await on.reports.by_release(AppName(app))
