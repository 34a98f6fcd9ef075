"""Ending a split, `/apps/APP/split/end`, with a winner or with none, beside its verdict; pausing it; beginning it anew.

Invariants:
    * What an end does to visitors, cookies and the report is said before it is done, and that there is no verdict yet.
    * What is ended is the split that the page was of, or nothing.
    * A split that a rollout or a bandit steers is ended with that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.confirming import Question, asked
from balancer.api.pages.rendering import page
from balancer.api.pages.steered import steered_by
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.ending import split_ends
from balancer.domain.split import OVER, Split
from balancer.domain.weights import shares
from balancer.errors import BalancerError, Conflict, InvalidInput, NotFound, SplitNotFound
from balancer.services.interfaces import Tell
from balancer.services.report import Report
from balancer.views.early import against_ending, against_winner

router = APIRouter()
# 5 s: ten times what the ledger takes for 10 M events; who wants to end a split need not wait for its figures.
_SECONDS = 5.0
_CHANGES = {
    "pause": "Pause the split",
    "resume": "Let the split go on",
    "reshuffle": "Begin the split anew",
}


@router.get("/apps/{app}/split/end")
async def ask_end(on: On, request: Request, app: str) -> Response:
    """Ask how a split is to end, beside its verdict."""
    await require_operator(request)
    split = await _open(on, AppName(app))
    report = await _report(on, split)
    verdict = report.verdict if report else None
    return await page(
        request,
        "split_end.html",
        app=split.app,
        split=split,
        verdict=verdict,
        primary=next((metric for metric in report.metrics if metric.primary), None) if report else None,
        of={each.variant: each for each in verdict.variants} if verdict else {},
        served=(await on.registry.app(split.app)).served_branch,
        warnings=against_ending(split, verdict, hidden=_is_hidden(report)),
    )


@router.get("/apps/{app}/split/{verb}")
async def ask(on: On, request: Request, app: str, verb: str, winner: str | None = None) -> Response:
    """Say what an end does, or a pause."""
    await require_operator(request)
    split = await _open(on, AppName(app))
    return await _asked(on, request, split, verb, BranchName(winner) if winner else None)


async def _asked(
    on: Platform,
    request: Request,
    split: Split,
    verb: str,
    winner: BranchName | None,
    error: BalancerError | None = None,
) -> Response:
    if verb in _CHANGES:
        return await asked(request, split.app, _of_change(split, verb), error=error)
    if (verb, winner is None) not in (("conclude", False), ("cancel", True)):
        raise NotFound(f"a split is not asked whether to {verb[:20]!r}; /apps/{split.app}/split has what can be done")
    if winner is not None and winner not in split.variants:
        raise InvalidInput(f"{winner} takes no part in {split.id}: one of {', '.join(split.variants)} can win")
    report = await _report(on, split)
    verdict = report.verdict if report else None
    warnings = (
        *against_ending(split, verdict, hidden=_is_hidden(report)),
        *against_winner(split, verdict, winner),
    )
    question = Question(
        title=f"End the split: everybody gets {winner}?" if winner else "End the split without a winner?",
        sentences=split_ends(split, await on.registry.app(split.app), winner),
        warnings=warnings,
        verdict=verdict,
        action=f"/apps/{split.app}/split/{verb}",
        button=f"Give everybody {winner}" if winner else "End the split",
        fields={"split": str(split.id)} | ({"winner": str(winner)} if winner else {}),
        back=f"/apps/{split.app}/split",
    )
    return await asked(request, split.app, question, error=error)


def _of_change(split: Split, verb: str) -> Question:
    sentences = {
        "pause": [
            "Nobody new is given a branch: they see what everyone sees outside a split, and are in no figure.",
            "Who has a branch keeps it, and is counted on.",
        ],
        "resume": ["Whoever is new is given a branch again, by the same weights."],
        "reshuffle": [
            "This split ends without a winner, and its report is kept. A new one of the same branches begins: "
            f"{shares(split.phase.weights)}.",
            "Everybody is given a branch anew when they come next: who had one may get another.",
        ],
    }
    return Question(
        title=f"{_CHANGES[verb]}?",
        sentences=sentences[verb],
        action=f"/apps/{split.app}/split/{verb}",
        button=_CHANGES[verb],
        fields={"split": str(split.id)},
        back=f"/apps/{split.app}/split",
    )


@router.post("/apps/{app}/split/{verb}")
async def steer(on: On, request: Request, app: str, verb: str) -> Response:
    """End a split, with a winner or without; pause it, or let it go on."""
    name, form = AppName(app), await form_of(request)
    winner = BranchName(form["winner"]) if form.get("winner") else None
    split: Split | None = None
    try:
        split = await _open(on, name)
        works = _works(on, name, winner)
        if verb not in works:
            raise NotFound(f"a split cannot be told to {verb[:20]!r}; it can {', '.join(works)}")
        if form.get("split") != split.id:
            raise Conflict(f"the page was of another split; now {split.id} goes on: look at that first")
        if verb == "conclude" and winner is None:
            raise InvalidInput("say which branch everyone is to see; where none is to win, end the split without one")
        work, done = works[verb]
        call = "DELETE /api/apps/{app}/split" if verb == "cancel" else f"POST /api/apps/{{app}}/split/{verb}"
        sent = {"winner": str(winner)} if verb == "conclude" else {}
        change = Change(call=call, title=f"Split {split.id}: {verb}", done=done, sent=sent, work=work)
        return await carry_out(on, request, name, change, _next(name, verb))
    except BalancerError as error:
        refused(request, error)
        if split is None or not isinstance(error, Conflict):
            raise
        return await _asked(on, request, split, verb, winner, error)


def _works(
    on: Platform, name: AppName, winner: BranchName | None
) -> Mapping[str, tuple[Callable[[Tell], Awaitable[object]], str]]:
    async def conclude(tell: Tell) -> None:
        if winner is not None:
            await on.experiments.conclude(name, winner, tell)

    return {
        "conclude": (conclude, f"The split is over: everyone sees {winner}."),
        "cancel": (lambda _: on.experiments.cancel(name), "The split is over, without a winner."),
        "pause": (lambda _: on.experiments.pause(name), "The split is paused: nobody new is given a branch."),
        "resume": (lambda _: on.experiments.resume(name), "The split goes on."),
        "reshuffle": (
            lambda _: on.experiments.reshuffle(name),
            "The split has begun anew: everybody is given a branch when they come next.",
        ),
    }


def _next(app: AppName, verb: str) -> str:
    """Return the page that shows what came of it: of a promotion that of the app, where its log is."""
    return f"/apps/{app}" if verb == "conclude" else f"/apps/{app}/split"


async def _open(on: Platform, app: AppName) -> Split:
    """Return the split of an app that people steer. Raises SplitNotFound, Conflict where something else steers it."""
    split = await on.registry.split(app)
    if split.state in OVER:
        raise SplitNotFound(f"no split of {app} runs: {split.id} is {split.state.value}")
    if (steering := await steered_by(on, split)) is not None:
        raise Conflict(f"a {steering} of {app} goes on with the split {split.id}: end that, on the page of the app")
    return split


async def _report(on: Platform, split: Split) -> Report | None:
    """Return the report of a split; None where the ledger does not say it in time."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await on.reports.of(split.app, split.id)
    except (BalancerError, TimeoutError):
        return None


def _is_hidden(report: Report | None) -> bool:
    if report is None or report.decide_at is None:
        return False
    return datetime.fromisoformat(report.looked_at) < datetime.fromisoformat(report.decide_at)
