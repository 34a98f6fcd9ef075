"""The forms that steer a rollout: it is paused, goes on, takes its next step, ends, or is given to everybody.

Invariants:
    * What it does is said first; looking at that changes nothing.
    * What was said of another rollout, or of an earlier step of this one, is not done.
"""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, require_operator
from balancer.api.pages.app_forms import attempt
from balancer.api.pages.confirming import Question, asked
from balancer.api.platform import On, Platform
from balancer.domain.app import AppName
from balancer.domain.rollout import Rollout
from balancer.domain.split import Split
from balancer.domain.weights import percent
from balancer.errors import Conflict, InvalidInput, RolloutNotFound
from balancer.services.interfaces import Tell
from balancer.services.rollouts import Standing

router = APIRouter()
_NAMES = {
    "pause": "Pause the rollout",
    "resume": "Let the rollout go on",
    "advance": "Take the next step",
    "abort": "End the rollout",
    "promote": "Give everybody {branch}",
}


@router.get("/apps/{app}/rollout/{verb}")
async def ask(on: On, request: Request, app: str, verb: str) -> Response:
    """Say what a change of a rollout does."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    if verb not in _NAMES:
        raise RolloutNotFound(
            f"a rollout is not asked whether to {verb[:20]!r}; /apps/{found.name} has what can be done"
        )
    standing = await on.rollouts.standing(found.name)
    split = await on.registry.split(found.name, standing.rollout.split)
    return await asked(request, found.name, _question(verb, standing, split))


def _question(verb: str, standing: Standing, split: Split) -> Question:
    it, hold = standing.rollout, standing.hold
    name = _NAMES[verb].format(branch=it.branch)
    sentences = _sentences(verb, it, split)
    if hold is not None and verb == "resume":
        sentences.append(f"By itself it takes no step just now: {hold.reason}")
    if hold is not None and verb in ("advance", "promote"):
        sentences.append(f"It is done all the same, since you ask for it: {hold.reason}")
    return Question(
        title=f"{name}?",
        sentences=sentences,
        action=f"/apps/{it.app}/rollout/{verb}",
        button=name,
        fields={"rollout": str(it.number), "step": str(it.step)},
    )


def _sentences(verb: str, it: Rollout, split: Split) -> list[str]:
    then = it.next_weight
    present = split.phase.weights.get(it.branch, 0)
    again = f"{it.branch} gets {percent(it.weight)} of new visitors again; somebody has given it {percent(present)}."
    sentences = {
        "pause": [
            f"{it.branch} keeps {percent(present)} of new visitors until the rollout goes on, and nobody moves.",
            "It is watched all the same: where the branch does harm, everyone sees the control.",
        ],
        "resume": [
            *([again] if present != it.weight else []),
            "It takes its next step by itself, once it has what that needs.",
        ],
        "advance": [
            f"{it.branch} gets {percent(then)} of new visitors now, whatever the step still lacks; until now "
            f"{percent(it.weight)}."
            if then is not None
            else f"{it.branch} is at its last step: it can be promoted.",
            "Who has a branch stays there. The rollout goes on from the new step.",
        ],
        "abort": [
            f"The rollout of {it.branch} and its split end: everyone sees the control again.",
            f"{it.branch} stays live under its own URL.",
        ],
        "promote": [
            f"Everyone sees {it.branch} at once, and its split ends.",
            f"The release of {it.branch} becomes that of the default branch, where git can do so without a merge.",
            "`Go back` leads back to the release before.",
        ],
    }
    return sentences[verb]


@router.post("/apps/{app}/rollout/{verb}")
async def steer(on: On, request: Request, app: str, verb: str) -> Response:
    """Pause a rollout, let it go on, take its next step, end it, or give everybody its branch."""
    name = AppName(app)
    works = _works(on, name)
    standing = await on.rollouts.standing(name) if verb in works else None

    def change(form: Mapping[str, str]) -> Change:
        if standing is None:
            raise InvalidInput(f"a rollout cannot be told to {verb[:20]!r}; it can {', '.join(works)}")
        _require_as_it_was_seen(standing.rollout, form)
        work, done = works[verb]
        call = "DELETE /api/apps/{app}/rollout" if verb == "abort" else f"POST /api/apps/{{app}}/rollout/{verb}"
        return Change(call=call, title=f"Rollout: {verb}", done=done, work=work)

    return await attempt(on, request, name, "rollout", change)


def _works(on: Platform, name: AppName) -> Mapping[str, tuple[Callable[[Tell], Awaitable[object]], str]]:
    return {
        "pause": (lambda _: on.rollouts.pause(name), "The rollout takes no further step until it goes on."),
        "resume": (lambda _: on.rollouts.resume(name), "The rollout goes on."),
        "advance": (lambda _: on.rollouts.advance(name), "The rollout has taken its next step."),
        "abort": (lambda _: on.rollouts.abort(name), "The rollout has ended: everyone sees the control again."),
        "promote": (lambda tell: on.rollouts.promote(name, tell), "Everyone sees the branch of the rollout."),
    }


def _require_as_it_was_seen(rollout: Rollout, form: Mapping[str, str]) -> None:
    """Raise Conflict where a page told what happens of another rollout, or of an earlier step of this one."""
    if form.get("rollout", str(rollout.number)) != str(rollout.number):
        raise Conflict(
            f"the page was of an earlier rollout; the one of {rollout.branch} has begun since: look at it first"
        )
    if form.get("step", str(rollout.step)) != str(rollout.step):
        raise Conflict(
            f"the rollout of {rollout.branch} has taken a step since; it is at {percent(rollout.weight)} now: look at "
            "what happens next"
        )
