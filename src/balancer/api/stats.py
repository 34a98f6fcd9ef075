"""The raw statistics."""

from typing import Annotated

from fastapi import APIRouter, Query

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.calendar import Unit
from balancer.domain.split import SplitId
from balancer.services.raw_stats import RawStatistics

router = APIRouter()
Since = Annotated[str | None, Query(alias="from", description="A date, or a time, of the app's zone.")]
Until = Annotated[str | None, Query(alias="to", description="The same; a date belongs to the range itself.")]


@router.get("/apps/{app}/stats")
async def raw_stats(
    on: On,
    app: str,
    by: Unit | None = None,
    event: str | None = None,
    split: Annotated[str | None, Query(description="Id of a split, or `all`.")] = None,
    since: Since = None,
    until: Until = None,
) -> RawStatistics:
    """Count the events of each branch, and their different visitors, by hour, day, week, month, or over all."""
    chosen = None if split in (None, "all") else SplitId(split)
    return await on.raw_stats.of(AppName(app), by, event=event, split=chosen, since=since, until=until)
