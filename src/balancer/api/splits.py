"""Splits: begun, changed, shown, ended, reported on."""

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.merge import Merge
from balancer.domain.metric import MetricName
from balancer.domain.split import SplitId
from balancer.services.breakdown import Breakdown
from balancer.services.interfaces import Tell
from balancer.services.release_report import ReleaseReport
from balancer.services.report import Report
from balancer.wire.releases import Progress, ReleaseBody
from balancer.wire.report_csv import csv_of
from balancer.wire.splits import Conclusion, NewSplit, NewTwin, SplitBody, WeightsBody

router = APIRouter()


@router.get("/apps/{app}/splits")
async def splits(on: On, app: str) -> list[SplitBody]:
    """List every split of an app, the newest first."""
    return [SplitBody.of(split) for split in await on.registry.splits(AppName(app))]


@router.get("/apps/{app}/splits/{split}")
async def split_of_id(on: On, app: str, split: str) -> SplitBody:
    """Return one split."""
    return SplitBody.of(await on.registry.split(AppName(app), SplitId(split)))


@router.get("/apps/{app}/split")
async def split(on: On, app: str) -> SplitBody:
    """Return the split that is not over, else the one that ended last."""
    return SplitBody.of(await on.registry.split(AppName(app)))


@router.post("/apps/{app}/split", status_code=201)
async def start_split(on: On, app: str, new: NewSplit) -> SplitBody:
    """Begin a split."""
    name, control = AppName(app), None if new.control is None else BranchName(new.control)
    brief = new.brief.parsed(await on.freezes.zone(name))
    return SplitBody.of(await on.experiments.start(name, new.parsed(), control, brief))


@router.post("/apps/{app}/split/aa")
async def start_aa_split(on: On, app: str, new: NewTwin) -> StreamingResponse:
    """Begin a split of a branch and a twin that is made of it, which goes when the split ends; a stream of Progress."""
    name = AppName(app)
    brief = new.brief.parsed(await on.freezes.zone(name))
    control = None if new.control is None else BranchName(new.control)

    async def work(tell: Tell) -> Progress:
        return Progress(split=SplitBody.of(await on.twins.start(name, control, brief, tell)))

    return progress_of(work)


@router.patch("/apps/{app}/split")
async def set_weights(on: On, app: str, weights: WeightsBody) -> SplitBody:
    """Give the split new weights."""
    return SplitBody.of(await on.experiments.set_weights(AppName(app), weights.parsed()))


@router.post("/apps/{app}/split/pause")
async def pause_split(on: On, app: str) -> SplitBody:
    """Assign nobody new; who has a variant keeps it."""
    return SplitBody.of(await on.experiments.pause(AppName(app)))


@router.post("/apps/{app}/split/resume")
async def resume_split(on: On, app: str) -> SplitBody:
    """Assign visitors again."""
    return SplitBody.of(await on.experiments.resume(AppName(app)))


@router.post("/apps/{app}/split/reshuffle")
async def reshuffle_split(on: On, app: str) -> SplitBody:
    """Begin the split anew with another id: everyone is assigned anew."""
    return SplitBody.of(await on.experiments.reshuffle(AppName(app)))


@router.post("/apps/{app}/split/conclude")
async def conclude_split(on: On, app: str, end: Conclusion) -> StreamingResponse:
    """End the split with a winner, whose release becomes the default branch's; a stream of Progress."""
    name, winner = AppName(app), BranchName(end.winner)

    async def work(tell: Tell) -> Progress:
        return Progress(split=SplitBody.of(await on.experiments.conclude(name, winner, tell)))

    return progress_of(work)


@router.post("/apps/{app}/promotion")
async def promote(on: On, app: str) -> StreamingResponse:
    """Make the winner that visitors see the default branch's release, where that has not happened; a stream."""
    name = AppName(app)

    async def work(tell: Tell) -> Progress:
        promoted = await on.promotions.promote(name, tell)
        if isinstance(promoted, Merge):
            return Progress(split=SplitBody.of(await on.registry.split(name)))
        return Progress(release=ReleaseBody.of(promoted))

    return progress_of(work)


@router.delete("/apps/{app}/split")
async def cancel_split(on: On, app: str) -> SplitBody:
    """End the split without a winner."""
    return SplitBody.of(await on.experiments.cancel(AppName(app)))


@router.get("/apps/{app}/report")
async def report(on: On, app: str, split: str | None = None, again: bool = False) -> Report:
    """Compare the variants of a split; none named: of what is not over, else of what ended last.

    The report of a split that is over is the one that was kept; `again` makes it anew, as of the same time.
    """
    make = on.reports.again if again else on.reports.of
    return await make(AppName(app), _split(split))


@router.get("/apps/{app}/report.csv")
async def report_as_csv(on: On, app: str, split: str | None = None) -> Response:
    """Return the same as CSV, a line for each metric and branch."""
    return Response(csv_of(await on.reports.of(AppName(app), _split(split))), media_type="text/csv")


@router.get("/apps/{app}/report/releases")
async def report_by_release(on: On, app: str, split: str | None = None) -> ReleaseReport:
    """Show the same split by the release that each visitor was exposed by; exploratory."""
    return await on.reports.by_release(AppName(app), _split(split))


@router.get("/apps/{app}/report/by/{dimension}")
async def report_by_dimension(
    on: On, app: str, dimension: str, metric: str | None = None, split: str | None = None
) -> Breakdown:
    """Show one metric of the same split by a dimension of its visitors; exploratory."""
    chosen = None if metric is None else MetricName(metric)
    return await on.reports.by_dimension(AppName(app), dimension, chosen, _split(split))


def _split(text: str | None) -> SplitId | None:
    return SplitId(text) if text else None
