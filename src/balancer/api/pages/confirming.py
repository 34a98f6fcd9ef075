"""Pages that say what will happen before it does, and those of going back to a release and of stopping.

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
from balancer.errors import BalancerError, InvalidInput, NotFound
from balancer.services.config_vars import summary
from balancer.stats.verdict import SplitVerdict

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
    warnings: Sequence[str] = ()
    """What speaks against it."""
    verdict: SplitVerdict | None = None
    """On the split that it is about, where there is one."""
    back: str | None = None
    """Where one goes who leaves it as it is; None: to the page of the app."""


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
    """Say what will happen before an app is stopped or paused."""
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
    raise NotFound(f"there is nothing to be sure of called {what[:20]!r}; /apps/{found.name} has what can be done")
