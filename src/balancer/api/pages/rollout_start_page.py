"""Beginning a rollout, `/apps/APP/rollout/start`: of which branch, by which steps, and what decides.

Invariant: what it does to visitors, and how long each step would take, is said before it is begun.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.metric_names import metric_names
from balancer.api.pages.rendering import page
from balancer.api.pages.split_start_page import require_as_it_was_seen
from balancer.api.pages.steered import is_left_behind, steered_by
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import App, AppName, BranchName
from balancer.domain.beginning import rollout_begins
from balancer.domain.calendar import shown
from balancer.domain.metric import MetricName
from balancer.domain.split import Brief
from balancer.domain.weights import percent
from balancer.errors import (
    BalancerError,
    BranchNotFound,
    Conflict,
    InvalidRollout,
    SplitRunning,
)
from balancer.services.rollout_planning import RolloutForecast
from balancer.views.rollout_plans import rows_of, sentences
from balancer.wire.rollout_form import EFFECT, PLAIN, wish_in
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollout_words import MARGIN, STEP_TIME, STEPS
from balancer.wire.rollouts import NewRollout

router = APIRouter()
# 5 s: ten times what the ledger takes for 10 M events; a rollout can be begun without a plan.
_PLAN_SECONDS = 5.0
_DEFAULTS = {
    "steps": STEPS,
    "step_time": STEP_TIME,
    "mode": "superiority",
    "margin": MARGIN,
    "effect": EFFECT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is said before a rollout begins."""

    sentences: list[str]
    plan: RolloutForecast | None
    trouble: str | None
    """Why there is no plan."""


@router.get("/apps/{app}/rollout/start")
async def ask_start(on: On, request: Request, app: str) -> Response:
    """Ask what a new rollout is to be, or say what the one that was asked for does, and how long it takes."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    typed = _fields(request.query_params)
    try:
        await _require_room(on, found)
        if not set(typed) - {"branch"}:
            return await _page(on, request, found, typed)
        return await _page(on, request, found, typed, wish=wish_in(typed))
    except BalancerError as error:
        return await _page(on, request, found, typed, error=error)


@router.post("/apps/{app}/rollout/start")
async def start(on: On, request: Request, app: str) -> Response:
    """Begin a rollout."""
    found, form = await on.registry.app(AppName(app)), await form_of(request)
    typed, wish = _fields(form), None
    try:
        wish = wish_in(typed)
        require_as_it_was_seen(found, form)
        name, branch, plan = found.name, BranchName(wish.branch or ""), wish.parsed()
        body = NewRollout(branch=branch, **wish.model_dump(include=set(NewRollout.model_fields) - {"branch"}))
        change = Change(
            call="POST /api/apps/{app}/rollout",
            title=f"Begin a rollout of {branch}",
            done=f"The rollout of {branch} has begun: it gets {percent(plan.steps[0])} of new visitors.",
            sent=body.model_dump(),
            work=lambda _: on.rollouts.start(name, branch, plan),
        )
        return await carry_out(on, request, name, change)
    except BalancerError as error:
        refused(request, error)
        again = wish if isinstance(error, Conflict) and not isinstance(error, SplitRunning) else None
        return await _page(on, request, found, typed, wish=again, error=error)


def _fields(form: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in form.items() if name in PLAIN}


async def _require_room(on: Platform, app: App) -> None:
    """Raise SplitRunning where a split of the app is in the way, BranchNotFound where nothing is live."""
    running = (await on.registry.snapshot()).split_of(app.name)
    if running is not None and not await is_left_behind(on, running):
        raise SplitRunning(app.name, running.id, steered_by=await steered_by(on, running))
    if app.served_branch is None:
        raise BranchNotFound(f"nothing of {app.name} was ever live; push a branch first")


async def _page(
    on: Platform,
    request: Request,
    app: App,
    typed: Mapping[str, str],
    *,
    wish: RolloutWishBody | None = None,
    error: BalancerError | None = None,
) -> Response:
    told: _Told | None = None
    if wish is not None:
        try:
            told = await _told(on, app, wish)
        except BalancerError as reason:
            error = error or reason
    live = (await on.registry.snapshot()).live(app.name)
    return await page(
        request,
        "rollout_start.html",
        status=error.status if error else 200,
        app=app.name,
        served=app.served_branch,
        others=sorted(branch for branch in live if branch != app.served_branch),
        typed={**_DEFAULTS, **typed},
        told=told,
        steps=rows_of(told.plan) if told and told.plan else (),
        notes=list(sentences(told.plan)) if told and told.plan else [],
        names=await metric_names(on, app.name),
        error=str(error) if error else None,
        runs=isinstance(error, SplitRunning),
    )


async def _told(on: Platform, app: App, wish: RolloutWishBody) -> _Told:
    """Return what a rollout does. Raises what beginning it would raise, as far as that is known before."""
    branch, plan = BranchName(wish.branch or ""), wish.parsed()
    if app.served_branch is None:
        raise BranchNotFound(f"nothing of {app.name} was ever live; push a branch first")
    if branch == app.served_branch:
        raise InvalidRollout(f"{branch} is what visitors of {app.name} see already; choose another branch")
    if branch not in (await on.registry.snapshot()).live(app.name):
        raise BranchNotFound(f"{app.name} has no live branch {branch}; push it first (`git push balancer {branch}`)")
    await on.experiments.frozen(app.name, Brief(metric=None if plan.metric is None else MetricName(plan.metric)))
    said = rollout_begins(branch, app.served_branch, plan, app.default_branch)
    freeze = await on.freezes.now(app.name)
    if freeze is not None:
        until = shown(await on.freezes.zone(app.name), freeze.until).replace("T", " ")
        said.append(f"A freeze holds until {until} ({freeze.why}): until then it takes no step by itself.")
    forecast, trouble = await _forecast(on, app.name, wish)
    return _Told(sentences=said, plan=forecast, trouble=trouble)


async def _forecast(on: Platform, app: AppName, wish: RolloutWishBody) -> tuple[RolloutForecast | None, str | None]:
    try:
        async with asyncio.timeout(_PLAN_SECONDS):
            return await on.rollout_planning.plan(app, wish.wish()), None
    except TimeoutError:
        return None, f"the ledger has not said within {_PLAN_SECONDS:g} s how many visitors come"
    except BalancerError as reason:
        return None, str(reason)
