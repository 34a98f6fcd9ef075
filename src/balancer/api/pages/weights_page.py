"""The weights of a split, `/apps/APP/weights`: changed once it was said who moves and who stays."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.rendering import page
from balancer.api.pages.steered import rollout_of
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.reweighing import consequences
from balancer.domain.split import OVER, Split
from balancer.domain.weights import parse_weights, shares
from balancer.errors import BalancerError, Conflict, InvalidWeights, SplitNotFound

router = APIRouter()
FIELD = "weight:"
"""What the fields begin with; the branch follows."""


@router.get("/apps/{app}/weights")
async def ask_weights(on: On, request: Request, app: str) -> Response:
    """Ask for weights, or say what those that were asked for do."""
    await require_operator(request)
    split = await _running(on, AppName(app))
    typed = {name: value for name, value in request.query_params.items() if name.startswith(FIELD)}
    if not typed:
        return await _page(on, request, split, typed)
    try:
        return await _page(on, request, split, typed, wanted=weights_in(typed))
    except BalancerError as error:
        return await _page(on, request, split, typed, error=error)


@router.post("/apps/{app}/weights")
async def set_weights(on: On, request: Request, app: str) -> Response:
    """Give the split new weights."""
    name, form = AppName(app), await form_of(request)
    split = await _running(on, name)
    typed = {key: value for key, value in form.items() if key.startswith(FIELD)}
    weights: Mapping[BranchName, int] | None = None
    try:
        weights = weights_in(typed)
        if form.get("split") != split.id:
            raise InvalidWeights(f"the page was of another split; now {split.id} runs: look at what its weights do")
        _require_as_it_was_seen(split, form.get("phase", ""), weights)
        change = Change(
            call="PATCH /api/apps/{app}/split",
            title=f"Weights: {shares(weights)}",
            done=f"New visitors are shared so now: {shares(weights)}.",
            sent={"weights": {str(branch): f"{weight / 100:g}" for branch, weight in weights.items()}},
            work=lambda _: on.experiments.set_weights(name, weights),
        )
        return await carry_out(on, request, name, change)
    except BalancerError as error:
        refused(request, error)
        wanted = weights if isinstance(error, Conflict) else None
        return await _page(on, request, split, typed, wanted=wanted, error=error)


def _require_as_it_was_seen(split: Split, phase: str, wanted: Mapping[BranchName, int]) -> None:
    """Raise Conflict where the weights are others than those that the page told the consequences from."""
    if phase != str(split.phase.number) and split.phase.weights != wanted:
        raise Conflict(
            f"meanwhile somebody else has given weights: {shares(split.phase.weights)}; below is what yours do now"
        )


def weights_in(form: Mapping[str, str]) -> dict[BranchName, int]:
    """Return the weights that the fields of a form ask for. Raises InvalidWeights, InvalidName."""
    return parse_weights(f"{name.removeprefix(FIELD)}={share.strip()}" for name, share in form.items())


async def _running(on: Platform, app: AppName) -> Split:
    split = await on.registry.split(app)
    if split.state in OVER:
        raise SplitNotFound(f"no split of {app} runs; `balancer split start {app}` begins one")
    return split


async def _page(
    on: Platform,
    request: Request,
    split: Split,
    typed: Mapping[str, str],
    *,
    wanted: Mapping[BranchName, int] | None = None,
    error: BalancerError | None = None,
) -> Response:
    said = consequences(split, wanted) if wanted is not None else []
    if wanted is not None and split.brief.bandit:
        said.append(f"A bandit has this split: it waits then, until `balancer bandit resume {split.app}`.")
    elif wanted is not None and await rollout_of(on, split):
        said.append(
            "A rollout has this split: it waits then, until it is told to go on, which brings its weights back."
        )
    return await page(
        request,
        "weights.html",
        status=error.status if error else 200,
        app=split.app,
        split=split,
        typed=typed,
        wanted=wanted,
        consequences=said,
        error=str(error) if error else None,
        field=FIELD,
    )
