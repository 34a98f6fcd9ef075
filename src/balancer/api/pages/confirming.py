"""Pages that say what will happen before it does: going back to a release, stopping, the large steps of a rollout.

Invariant: looking at one changes nothing; its button does what it says, whatever has happened since, or is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, carry_out, refused, require_operator
from balancer.api.pages.rendering import page
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppMode, AppName, BranchName
from balancer.domain.release import Release, ReleaseState
from balancer.domain.weights import percent
from balancer.errors import BalancerError, InvalidInput, NotFound
from balancer.services.config_vars import summary
from balancer.services.rollouts import Standing

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before something is done."""

    title: str
    sentences: Sequence[str]
    """What will happen."""
    action: str
    """Where its form is sent."""
    button: str
    fields: Mapping[str, str] = field(default_factory=dict)


async def asked(request: Request, app: AppName, question: Question, *, error: BalancerError | None = None) -> Response:
    """Return the page that asks."""
    return await page(
        request,
        "confirm.html",
        status=error.status if error else 200,
        app=app,
        question=question,
        error=str(error) if error else None,
    )


@router.get("/apps/{app}/rollback")
async def ask_rollback(
    on: On, request: Request, app: str, branch: str | None = None, release: int | None = None
) -> Response:
    """Say what going back to a release does."""
    await require_operator(request)
    name = AppName(app)
    return await asked(request, name, await _rollback(on, name, BranchName(branch) if branch else None, release))


async def _rollback(on: Platform, name: AppName, branch: BranchName | None, number: int | None) -> Question:
    target = await on.rollbacks.target(name, branch, number)
    app, live = await on.registry.app(name), (await on.registry.snapshot()).live(name).get(target.branch)
    ends_promotion = target.state is ReleaseState.LIVE
    said = []
    if ends_promotion:
        said.append(f"Visitors see {_named(target)} of {target.branch} again, and {app.promoted} no more.")
    else:
        now = f", and {_named(live)} no more" if live else ""
        said.append(f"Visitors of {target.branch} see {_named(target)}{now}.")
        said.append(
            "Its instances are warm still: it is live in a moment."
            if target.state is ReleaseState.DRAINING
            else "It is not built again. Its instances are started first; until they are healthy what is live serves."
        )
        if target.branch == app.default_branch:
            said.append(await _config_then(on, name, target))
    said.append("Nobody changes branch by it. Going back once more leads here again.")
    fields = {"branch": str(target.branch)} | ({} if ends_promotion else {"release": str(target.number)})
    return Question(
        title=f"Go back to release {target.number} of {target.branch}?",
        sentences=said,
        action=f"/apps/{name}/rollback",
        button=f"Go back to release {target.number}",
        fields=fields,
    )


async def _config_then(on: Platform, name: AppName, target: Release) -> str:
    now, then = await on.registry.config(name), await on.registry.release_config(target.id)
    changed = {key: then.get(key) for key in sorted({**now, **then}) if now.get(key) != then.get(key)}
    if not changed:
        return "The config vars of the app are what they were then: none changes."
    return f"The config vars of the app become those of that release: {summary(changed)}."


def _named(release: Release) -> str:
    return f"release {release.number} ({release.commit.short} “{release.subject}” by {release.author})"


@router.post("/apps/{app}/rollback")
async def rollback(on: On, request: Request, app: str) -> Response:
    """Go back to a release."""
    name, form = AppName(app), await form_of(request)
    try:
        branch = BranchName(form["branch"]) if form.get("branch") else None
        text = form.get("release", "")
        if text and not (text.isdecimal() and len(text) < 10):
            raise InvalidInput(f"{text[:20]!r} is no number of a release; the page of the app lists them")
        number = int(text) if text else None
        target = await on.rollbacks.target(name, branch, number)
        change = Change(
            call="POST /api/apps/{app}/rollback",
            title=f"Go back to release {target.number} of {target.branch}",
            done=f"Release {target.number} of {target.branch} is live again.",
            sent={"branch": branch, "release": number},
            work=lambda tell: on.rollbacks.rollback(name, branch, number, tell),
        )
        return await carry_out(on, request, name, change)
    except BalancerError as error:
        refused(request, error)
        question = Question(
            title="Go back to a release",
            sentences=["It was not done."],
            action=f"/apps/{name}/rollback",
            button="Try again",
            fields={key: form[key] for key in ("branch", "release") if key in form},
        )
        return await asked(request, name, question, error=error)


@router.get("/apps/{app}/sure/{what}")
async def ask(on: On, request: Request, app: str, what: str) -> Response:
    """Say what will happen before an app is stopped or paused, or a rollout takes one of its large steps."""
    await require_operator(request)
    found = await on.registry.app(AppName(app))
    modes = {
        AppMode.STOPPED: (
            f"Stop {found.name}?",
            ["Every instance drains and ends, those of all branches.", "Visitors see a page that says it is stopped."],
            f"Stop {found.name}",
        ),
        AppMode.MAINTENANCE: (
            f"Show the maintenance page of {found.name}?",
            [
                "Visitors of every branch get a page that says so, with status 503.",
                "Instances run on, and deploys go on.",
            ],
            "Show it",
        ),
        AppMode.PAUSED: (
            f"Hold the requests to {found.name}?",
            ["Each request waits until the app serves again, 30 s at most, and fails after that."],
            "Hold them",
        ),
    }
    for mode, (title, said, button) in modes.items():
        if what == mode.value:
            fields = {"mode": mode.value}
            question = Question(
                title=title, sentences=said, action=f"/apps/{found.name}/mode", button=button, fields=fields
            )
            return await asked(request, found.name, question)
    if what in ("advance", "abort", "promote"):
        standing = await on.rollouts.standing(found.name)
        return await asked(request, found.name, _of_rollout(found.name, what, standing))
    raise NotFound(f"there is nothing to be sure of called {what[:20]!r}; /apps/{found.name} has what can be done")


def _of_rollout(app: AppName, verb: str, standing: Standing) -> Question:
    it = standing.rollout
    then = it.next_weight
    sentences = {
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
    names = {"advance": "Take the next step", "abort": "End the rollout", "promote": f"Give everybody {it.branch}"}
    return Question(
        title=f"{names[verb]}?",
        sentences=sentences[verb],
        action=f"/apps/{app}/rollout/{verb}",
        button=names[verb],
        fields={"rollout": str(it.number), "step": str(it.step)},
    )
