"""The traffic, `/traffic`: requests, errors, new visitors and events a second, by branch, as they happen."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import fragment, page
from balancer.api.platform import On, Platform
from balancer.domain.app import AppName, BranchName
from balancer.domain.routing import backend_name
from balancer.services.pulse import Beat
from balancer.services.rates import Rate, Series

router = APIRouter()
# 100 branches: some screens; the busiest come first, and an app can be chosen.
_SHOWN = 100
Chosen = Annotated[str, Query(alias="app", max_length=100)]
_NOTHING = Beat()


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchTraffic:
    """What goes on at one branch."""

    app: AppName
    branch: BranchName
    series: Series
    beat: Beat | None
    """None where the edge log was not looked at yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What goes on, at the branches that are shown and at all of them."""

    rows: tuple[BranchTraffic, ...]
    branches: int
    """How many there are."""
    total: Rate | None
    beat: Beat | None


@router.get("/traffic")
async def traffic_page(on: On, request: Request, chosen: Chosen = "") -> Response:
    """Show the traffic of every app, or of one."""
    name = AppName(chosen) if chosen else None
    return await page(
        request,
        "traffic.html",
        traffic=await _traffic(on, name),
        chosen=chosen,
        names=await on.overviews.names(),
        live=f"/traffic/live?app={chosen}" if chosen else "/traffic/live",
    )


@router.get("/traffic/live")
async def traffic_live(on: On, request: Request, chosen: Chosen = "") -> Response:
    """Keep that page up to date."""
    name = AppName(chosen) if chosen else None

    async def parts() -> Parts:
        return {"traffic": fragment("traffic_parts.html", "traffic", await _traffic(on, name))}

    return live(request, parts)


async def _traffic(on: Platform, chosen: AppName | None) -> Traffic:
    if chosen is not None:
        await on.registry.app(chosen)
    snapshot, beats = await on.registry.snapshot(), await on.pulse.present()
    rows = [
        BranchTraffic(
            app=app.name,
            branch=branch,
            series=on.rates.of(backend_name(app.name, branch)),
            beat=beats.get((app.name, branch.slug), _NOTHING) if beats is not None else None,
        )
        for app in snapshot.apps
        if chosen in (None, app.name)
        for branch in snapshot.live(app.name)
    ]
    rows.sort(key=lambda row: (-(row.series.present.requests if row.series.present else 0), row.app, row.branch))
    return Traffic(rows=tuple(rows[:_SHOWN]), branches=len(rows), total=_total(rows), beat=_beat(rows))


def _total(rows: list[BranchTraffic]) -> Rate | None:
    there = [row.series.present for row in rows if row.series.present]
    return Rate(sum(each.requests for each in there), sum(each.errors for each in there)) if there else None


def _beat(rows: list[BranchTraffic]) -> Beat | None:
    there = [row.beat for row in rows if row.beat is not None]
    if not there:
        return None
    return Beat(visitors=sum(each.visitors for each in there), events=sum(each.events for each in there))
