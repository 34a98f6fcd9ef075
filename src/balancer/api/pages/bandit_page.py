"""The forms of bandits: one is begun, paused, goes on, and ends, for the control or for one of its branches.

Invariants:
    * What moves visitors says first what it will do; looking at that changes nothing.
    * A bandit is begun by no form that does not say that it is for earnings more than for knowledge.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.app_forms import attempt
from balancer.api.pages.confirming import Question, asked
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.bandit import FLOOR, Bandit, BanditPlan, check_arms
from balancer.domain.split import Split
from balancer.domain.weights import percent, shares
from balancer.errors import BalancerError, BanditNotFound, BranchNotFound, Conflict, InvalidInput
from balancer.services.interfaces import Tell

router = APIRouter()
_FIELD = "branch:"
"""What the fields of the branches of a new bandit begin with; the branch follows."""
_EARNING = (
    "It is for earnings more than for knowledge: by how much the best branch is better stays unsure. Who wants to know "
    "begins a split, with `balancer split start`."
)


@router.get("/apps/{app}/bandit/start")
async def ask_start(on: On, request: Request, app: str, metric: str = Query(default="", max_length=200)) -> Response:
    """Say what a bandit does before it is begun."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    fields = {name: value for name, value in request.query_params.items() if name.startswith(_FIELD)}
    question = Question(
        title=f"Begin a bandit on {metric}?" if metric else "Begin a bandit?",
        sentences=["It was not begun."],
        action=f"/apps/{found.name}/bandit/start",
        button="Begin it",
        fields={**fields, "metric": metric},
    )
    try:
        branches, plan = _plan_in(fields, metric)
        if found.served_branch is None:
            raise BranchNotFound(f"nothing of {found.name} was ever live; push a branch first")
        check_arms(found.served_branch, branches)
    except BalancerError as error:
        return await asked(request, found.name, question, error=error)
    arms = ", ".join((found.served_branch, *branches))
    sentences = [
        f"{arms} get even parts of the new visitors, who keep the branch that they get.",
        f"From then on, each hour at most, each gets the part that its chance to be the best one at {plan.metric} is, "
        f"and at least {percent(FLOOR)}. A branch that does harm is taken out.",
        _EARNING,
    ]
    return await asked(request, found.name, replace(question, sentences=sentences))


def _plan_in(form: Mapping[str, str], metric: str) -> tuple[tuple[BranchName, ...], BanditPlan]:
    """Return the branches and the plan that a form asks for. Raises InvalidInput, InvalidName, InvalidBandit."""
    branches = tuple(BranchName(name.removeprefix(_FIELD)) for name in form if name.startswith(_FIELD))
    if not metric.strip():
        raise InvalidInput("say what is to be earned: a metric or an event, such as purchase")
    return branches, BanditPlan(metric=metric.strip())


@router.get("/apps/{app}/bandit/{verb}")
async def ask(on: On, request: Request, app: str, verb: str, branch: str | None = None) -> Response:
    """Say what ending a bandit does, or pausing one."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    bandit = (await on.bandits.standing(found.name)).bandit
    if verb in ("pause", "resume") and branch is None:
        return await asked(
            request, found.name, _of_pause(bandit, await on.registry.split(found.name, bandit.split), verb)
        )
    winner = BranchName(branch) if branch else None
    if (verb, winner is None) not in (("abort", True), ("promote", False)):
        raise BanditNotFound(f"a bandit is not asked whether to {verb[:20]!r}; /apps/{found.name} has what can be done")
    return await asked(request, found.name, _of_bandit(bandit, winner))


def _of_pause(bandit: Bandit, split: Split, verb: str) -> Question:
    now, its = split.phase.weights, split.phases[bandit.phase - 1].weights
    again = f"Its weights come back: {shares(its)}. Somebody has given {shares(now)} meanwhile."
    sentences = {
        "pause": [
            f"New visitors are shared on so until it goes on: {shares(now)}. Nobody moves.",
            "It is watched all the same: a branch that does harm is taken out.",
        ],
        "resume": [
            *([again] if now != its else []),
            "From then on the weights follow again what the branches earn.",
        ],
    }
    names = {"pause": "Pause the bandit", "resume": "Let the bandit go on"}
    return Question(
        title=f"{names[verb]}?",
        sentences=sentences[verb],
        action=f"/apps/{bandit.app}/bandit/{verb}",
        button=names[verb],
        fields={"bandit": str(bandit.number)},
    )


def _of_bandit(bandit: Bandit, winner: BranchName | None) -> Question:
    others = ", ".join(branch for branch in bandit.branches if branch != winner)
    stay = f"{others} {'stays live under its own URL' if ',' not in others else 'stay live under their own URLs'}."
    if winner is None:
        return Question(
            title="End the bandit?",
            sentences=[
                f"The bandit on {bandit.plan.metric} and its split end: everyone sees {bandit.control} again.",
                stay,
            ],
            action=f"/apps/{bandit.app}/bandit/abort",
            button="End the bandit",
            fields={"bandit": str(bandit.number)},
        )
    return Question(
        title=f"Give everybody {winner}?",
        sentences=[
            f"Everyone sees {winner} at once, and the bandit and its split end.",
            f"The release of {winner} becomes that of the default branch, where git can do so without a merge.",
            "By how much it is the better one is not known well: a bandit is for earnings.",
            "`Go back` leads back to the release before.",
        ],
        action=f"/apps/{bandit.app}/bandit/promote",
        button=f"Give everybody {winner}",
        fields={"bandit": str(bandit.number), "branch": str(winner)},
    )


@router.post("/apps/{app}/bandit/start")
async def start(on: On, request: Request, app: str) -> Response:
    """Begin a bandit."""
    name, form = AppName(app), await form_of(request)
    try:
        branches, plan = _plan_in(form, form.get("metric", ""))
        change = Change(
            call="POST /api/apps/{app}/bandit",
            title=f"Bandit on {plan.metric}",
            done=f"A bandit shares the visitors: they follow what the branches earn of {plan.metric}.",
            sent={"branches": list(branches), "metric": plan.metric},
            work=lambda _: on.bandits.start(name, branches, plan),
        )
        return await carry_out(on, request, name, change, f"/apps/{name}/split")
    except BalancerError as error:
        refused(request, error)
        fields = {key: value for key, value in form.items() if key.startswith(_FIELD) or key == "metric"}
        question = Question(
            title="Begin a bandit",
            sentences=["It was not begun."],
            action=f"/apps/{name}/bandit/start",
            button="Try again",
            fields=fields,
        )
        return await asked(request, name, question, error=error)


@router.post("/apps/{app}/bandit/{verb}")
async def steer(on: On, request: Request, app: str, verb: str) -> Response:
    """Pause a bandit, let it go on, end it, or give everybody one of its branches."""
    name = AppName(app)
    number = (await on.bandits.standing(name)).bandit.number

    def change(form: Mapping[str, str]) -> Change:
        works = _works(on, name, form)
        if verb not in works:
            raise InvalidInput(f"a bandit cannot be told to {verb[:20]!r}; it can {', '.join(works)}")
        if form.get("bandit", str(number)) != str(number):
            raise Conflict("the page was of an earlier bandit, and another one has begun since: look at that first")
        work, done = works[verb]
        call = "DELETE /api/apps/{app}/bandit" if verb == "abort" else f"POST /api/apps/{{app}}/bandit/{verb}"
        sent = {"winner": form.get("branch", "")} if verb == "promote" else {}
        return Change(call=call, title=f"Bandit: {verb}", done=done, sent=sent, work=work)

    return await attempt(on, request, name, "bandit", change)


def _works(
    on: Platform, name: AppName, form: Mapping[str, str]
) -> Mapping[str, tuple[Callable[[Tell], Awaitable[object]], str]]:
    winner = form.get("branch", "")
    return {
        "pause": (lambda _: on.bandits.pause(name), "The bandit leaves the weights as they are until it goes on."),
        "resume": (lambda _: on.bandits.resume(name), "The bandit goes on, with the weights that it has set last."),
        "abort": (lambda _: on.bandits.abort(name), "The bandit has ended: everyone sees the control again."),
        "promote": (lambda tell: on.bandits.promote(name, BranchName(winner), tell), f"Everyone sees {winner}."),
    }
