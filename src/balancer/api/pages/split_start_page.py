"""Beginning a split, `/apps/APP/split/start`: which branches, with which weights, and what decides.

Invariant: what it does to visitors is said first, and what was said is what is begun, or it is refused.
"""

from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.metric_names import metric_names
from balancer.api.pages.rendering import page
from balancer.api.pages.steered import steered_by
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import App, AppName, BranchName
from balancer.domain.audience import COUNTRY_HEADER
from balancer.domain.beginning import split_begins
from balancer.domain.split import TWIN, Brief, control_of
from balancer.domain.weights import WHOLE, percent, shares
from balancer.errors import BalancerError, BranchNotFound, Conflict, SplitRunning
from balancer.wire.split_form import BRANCH, WEIGHT, fields_of, new_split
from balancer.wire.splits import NewSplit, NewTwin

router = APIRouter()


@router.get("/apps/{app}/split/start")
async def ask_start(on: On, request: Request, app: str) -> Response:
    """Ask what a new split is to be, or say what the one that was asked for does."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    typed = fields_of(request.query_params)
    try:
        await _require_room(on, found)
        if not typed:
            return await _page(on, request, found, await _defaults(on, found))
        return await _page(on, request, found, typed, new=new_split(typed))
    except BalancerError as error:
        return await _page(on, request, found, typed, error=error)


@router.post("/apps/{app}/split/start")
async def start(on: On, request: Request, app: str) -> Response:
    """Begin a split."""
    found, form = await on.registry.app(AppName(app)), await form_of(request)
    typed, new = fields_of(form), None
    try:
        new = new_split(typed)
        require_as_it_was_seen(found, form)
        name = found.name
        change = _change(on, name, new, new.brief.parsed(await on.freezes.zone(name)))
        # A twin is started first: the page of the app shows how far that is.
        return await carry_out(on, request, name, change, None if isinstance(new, NewTwin) else f"/apps/{name}/split")
    except BalancerError as error:
        refused(request, error)
        again = new if isinstance(error, Conflict) and not isinstance(error, SplitRunning) else None
        return await _page(on, request, found, typed, new=again, error=error)


def _change(on: Platform, name: AppName, new: NewSplit | NewTwin, brief: Brief) -> Change:
    weights, control = _weights(new), None if new.control is None else BranchName(new.control)
    sent = new.model_dump(mode="json", exclude_defaults=True)
    done = f"The split has begun: {shares(weights)}."
    if isinstance(new, NewTwin):
        return Change(
            call="POST /api/apps/{app}/split/aa",
            title=f"Begin an A/A split of {control}",
            done=done,
            sent=sent,
            work=lambda tell: on.twins.start(name, control, brief, tell),
        )
    return Change(
        call="POST /api/apps/{app}/split",
        title=f"Begin a split: {shares(weights)}",
        done=done,
        sent=sent,
        work=lambda _: on.experiments.start(name, weights, control, brief),
    )


def _weights(new: NewSplit | NewTwin) -> dict[BranchName, int]:
    """Return the weights that a split begins with. Raises InvalidName, InvalidWeights."""
    if isinstance(new, NewSplit):
        return new.parsed()
    return {BranchName(new.control or ""): WHOLE // 2, TWIN: WHOLE // 2}


def require_as_it_was_seen(app: App, form: Mapping[str, str]) -> None:
    """Raise Conflict where visitors see another branch by now than a page said that they do."""
    if form.get("served") != (app.served_branch or ""):
        raise Conflict(f"meanwhile visitors of {app.name} see {app.served_branch}: look at what happens now")


async def _require_room(on: Platform, app: App) -> None:
    """Raise SplitRunning where the app has a split, BranchNotFound where nothing is live."""
    running = (await on.registry.snapshot()).split_of(app.name)
    if running is not None:
        raise SplitRunning(app.name, running.id, steered_by=await steered_by(on, running))
    if app.served_branch is None:
        raise BranchNotFound(f"nothing of {app.name} was ever live; push a branch first")


async def _defaults(on: Platform, app: App) -> Mapping[str, str]:
    """Return what the form has at first: of two live branches both, of more what visitors see."""
    live = await _live(on, app)
    return {f"{BRANCH}{branch}": "yes" for branch in (live if len(live) == 2 else live[:1])}


async def _live(on: Platform, app: App) -> list[BranchName]:
    """Return the live branches, what visitors see first."""
    live = (await on.registry.snapshot()).live(app.name)
    return sorted(live, key=lambda branch: (branch != app.served_branch, branch))


async def _page(
    on: Platform,
    request: Request,
    app: App,
    typed: Mapping[str, str],
    *,
    new: NewSplit | NewTwin | None = None,
    error: BalancerError | None = None,
) -> Response:
    said: list[str] = []
    if new is not None:
        try:
            said = await _said(on, app, new)
        except BalancerError as reason:
            error = error or reason
    return await page(
        request,
        "split_start.html",
        status=error.status if error else 200,
        app=app.name,
        served=app.served_branch,
        branches=await _live(on, app),
        typed=typed,
        fields=_exact(typed, new) if new is not None and said else None,
        consequences=said,
        names=await metric_names(on, app.name),
        error=str(error) if error else None,
        runs=isinstance(error, SplitRunning),
        branch_field=BRANCH,
        weight_field=WEIGHT,
        country_header=COUNTRY_HEADER,
    )


async def _said(on: Platform, app: App, new: NewSplit | NewTwin) -> list[str]:
    """Return what a split does. Raises what beginning it would raise, as far as that is known before."""
    weights, brief = _weights(new), new.brief.parsed(await on.freezes.zone(app.name))
    if isinstance(new, NewTwin):
        brief = replace(brief, aa=True, twin=TWIN)
    live = await _live(on, app)
    for branch in weights:
        if branch not in live and branch != brief.twin:
            raise BranchNotFound(
                f"{app.name} has no live branch {branch}; push it first (`git push balancer {branch}`)"
            )
    control = control_of(weights, None if new.control is None else BranchName(new.control), app.served_branch)
    frozen = await on.experiments.frozen(app.name, brief)
    return split_begins(weights, control, app.served_branch, frozen)


def _exact(typed: Mapping[str, str], new: NewSplit | NewTwin) -> Mapping[str, str]:
    """Return the fields that ask for exactly what is said: with the weights that were left to be shared."""
    if isinstance(new, NewTwin):
        return typed
    weights = {f"{WEIGHT}{branch}": percent(units).removesuffix(" %") for branch, units in new.parsed().items()}
    return {**typed, **weights}
