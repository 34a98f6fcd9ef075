"""The pages of splits: `/apps/APP/split` of the present one, `/apps/APP/splits/ID` of any, `/apps/APP/splits` a list.

Every chart has its figures at `/apps/APP/splits/ID/NAME.csv`.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from balancer.api.pages.acting import forget_said, said_of, viewer_of
from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import HEADERS, fragment, page
from balancer.api.pages.split_sheet import DIMENSIONS, bandit_of, plan_of, sheet_of
from balancer.api.pages.steered import rollout_of, steered_by
from balancer.api.pages.viewers_clock import clock_of
from balancer.api.platform import On, Platform
from balancer.domain.app import App, AppName, BranchName
from balancer.domain.calendar import Unit
from balancer.domain.event_row import EventRow
from balancer.domain.split import OVER, Split, SplitId
from balancer.errors import BalancerError, NotFound, SplitNotFound
from balancer.services.split_standing import taken_back
from balancer.views.arms import arms_of
from balancer.views.plans import PlanView
from balancer.views.table import csv_of
from balancer.wire.asked import Asked

router = APIRouter()
Question = Annotated[Asked, Query()]
# 20: what fits beside the rest of the page; `balancer events tail` shows all.
_TAIL_ROWS = 20
# 2 s: the page is shown without them, and they come once they are there.
_TAIL_SECONDS = 2.0


@router.get("/apps/{app}/split")
async def split_page(on: On, request: Request, app: str, asked: Question) -> Response:
    """Show the split that is not over, else the one that ended last; where there was none, how to begin one."""
    found = await on.registry.app(AppName(app))
    try:
        split = await on.registry.split(found.name)
    except SplitNotFound:
        plan, trouble = await _planned(on, found.name, asked)
        said = await said_of(request)
        answer = await page(
            request,
            "no_split.html",
            app=found.name,
            plan=plan,
            trouble=trouble,
            asked=asked,
            said=said,
            served=found.served_branch,
            others=await _others(on, found),
        )
        if said:
            forget_said(found.name, answer)
        return answer
    return await _shown(on, request, split, asked)


@router.get("/apps/{app}/splits")
async def splits_page(on: On, request: Request, app: str) -> Response:
    """List every split of an app, the newest first."""
    found = await on.registry.app(AppName(app))
    return await page(request, "splits.html", app=found.name, splits=await on.registry.splits(found.name))


@router.get("/apps/{app}/splits/{split}")
async def one_split_page(on: On, request: Request, app: str, split: str, asked: Question) -> Response:
    """Show a split."""
    return await _shown(on, request, await on.registry.split(AppName(app), SplitId(split)), asked)


@router.get("/apps/{app}/splits/{split}/live")
async def split_live(on: On, request: Request, app: str, split: str, seen: str = "") -> Response:
    """Keep the verdict of a split up to date, and show what happens in its app; `seen` is what the page was made of."""
    found, viewer = await on.registry.split(AppName(app), SplitId(split)), await viewer_of(request)

    async def parts() -> Parts:
        now = await on.registry.split(found.app, found.id)
        is_another = bool(seen) and seen != _mark_of(now)
        made = {
            "tail": fragment("figures.html", "tail", await _tail(on, found)),
            "meanwhile": fragment("figures.html", "meanwhile", now if is_another else None),
        }
        if bandit := await bandit_of(on, found):
            made["bandit"] = fragment("bandit_parts.html", "bandit", found.app, bandit, viewer, arms_of(bandit))
        rollout = await rollout_of(on, found)
        if said := on.lights.of(found):
            back = taken_back(rollout, now.phase.weights)
            made["verdict"] = fragment("figures.html", "verdict", said.verdict, said.primary, back)
        if rollout:
            made["rollout"] = fragment("app_parts.html", "rollout_of", found.app, rollout, viewer)
        return {**made}

    return live(request, parts)


@router.get("/apps/{app}/splits/{split}/{name}.csv")
async def figures_as_csv(on: On, app: str, split: str, name: str, asked: Question) -> Response:
    """Give the figures of a chart as a file."""
    found = await on.registry.split(AppName(app), SplitId(split))
    figure = (await sheet_of(on, found, asked, only=name)).figures.get(name)
    if figure is None:
        sheet = await sheet_of(on, found, asked)
        raise NotFound(f"{split} of {app} has no chart {name[:60]!r}; there are: {', '.join(sorted(sheet.figures))}")
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{app}-{split}-{name}.csv"'}
    return Response(csv_of(figure.table), media_type="text/csv; charset=utf-8", headers=headers)


async def _shown(on: Platform, request: Request, split: Split, asked: Asked) -> Response:
    sheet, tail = await asyncio.gather(sheet_of(on, split, asked, clock=clock_of(request)), _tail_of(on, split))
    app, rollout = await on.registry.app(split.app), await rollout_of(on, split)
    base, said = f"/apps/{split.app}/splits/{split.id}", await said_of(request)
    answer = await page(
        request,
        "split.html",
        sheet=sheet,
        report=sheet.report,
        primary=next((metric for metric in sheet.report.metrics if metric.primary), None),
        base=base,
        units=tuple(Unit),
        dimensions=DIMENSIONS,
        asked=asked,
        plan=sheet.plan,
        trouble=sheet.troubles.get("plan"),
        tail=tail,
        viewer=await viewer_of(request),
        arms=arms_of(sheet.bandit),
        rollout=rollout,
        rolled_back=None if sheet.over else taken_back(rollout, split.phase.weights),
        steered=await steered_by(on, split),
        free=(await on.registry.snapshot()).split_of(split.app) is None,
        said=said,
        live=None if sheet.over else f"{base}/live?seen={_mark_of(split)}",
        served=app.served_branch,
        others=await _others(on, app),
    )
    if said:
        forget_said(split.app, answer)
    return answer


def _mark_of(split: Split) -> str:
    """Return what tells the page of a split from the one after something was done to it."""
    return f"{split.state.value}-{split.phase.number}"


async def _others(on: Platform, app: App) -> tuple[BranchName, ...]:
    """Return the live branches beside the one that visitors see outside a split."""
    live = (await on.registry.snapshot()).live(app.name)
    return tuple(sorted(branch for branch in live if branch != app.served_branch))


async def _planned(on: Platform, app: AppName, asked: Asked) -> tuple[PlanView | None, str | None]:
    try:
        return await plan_of(on, app, asked), None
    except BalancerError as reason:
        return None, str(reason)


async def _tail_of(on: Platform, split: Split) -> tuple[EventRow, ...]:
    """Return the newest events of a split's app; none of one that is over, or where nobody can tell."""
    if split.state in OVER:
        return ()
    try:
        async with asyncio.timeout(_TAIL_SECONDS):
            return await _tail(on, split)
    except (BalancerError, TimeoutError):
        return ()


async def _tail(on: Platform, split: Split) -> tuple[EventRow, ...]:
    """Return the newest events, newest first."""
    return (await on.event_rows.newest(split.app, None, _TAIL_ROWS)).rows[::-1]
