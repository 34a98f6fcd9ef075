"""The forms of the page of an app: scale, restart, mode, cancel a deploy."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import Change, Trouble, carry_out, refused, require_operator
from balancer.api.pages.app_page import shown
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppMode, AppName, BranchName
from balancer.domain.manifest import ProcessType
from balancer.errors import BalancerError, InvalidInput
from balancer.services.interfaces import Tell

router = APIRouter()
_COUNT = "count:"
"""What the fields of the form that scales begin with; the process type follows."""


@router.post("/apps/{app}/scale")
async def scale(on: On, request: Request, app: str) -> Response:
    """Have other numbers of instances."""
    name = AppName(app)

    def change(form: Mapping[str, str]) -> Change:
        counts = counts_in(form)
        words = ", ".join(f"{process}={count}" for process, count in counts.items())
        return Change(
            call="PATCH /api/apps/{app}/formation",
            title=f"Scale {words}",
            done=f"{name} runs {words} now.",
            sent={"formation": dict(counts)},
            work=lambda tell: on.formations.scale(name, counts, tell),
        )

    return await attempt(on, request, name, "scale", change)


def counts_in(form: Mapping[str, str]) -> dict[ProcessType, int]:
    """Return how many instances of each process type a form asks for. Raises InvalidInput, InvalidName."""
    counts = {}
    for field, text in form.items():
        if field.startswith(_COUNT):
            process = ProcessType(field.removeprefix(_COUNT))
            if not text.strip().isdecimal() or len(text) > 6:
                raise InvalidInput(f"{process}: {text[:20]!r} is no number of instances; write one such as 2")
            counts[process] = int(text)
    if not counts:
        raise InvalidInput("the form names no process type; load the page again")
    return counts


@router.post("/apps/{app}/restart")
async def restart(on: On, request: Request, app: str) -> Response:
    """Replace instances by new ones of the same release."""
    name = AppName(app)

    def change(form: Mapping[str, str]) -> Change:
        branch = BranchName(form["branch"]) if form.get("branch") else None
        return Change(
            call="POST /api/apps/{app}/restart",
            title=f"Restart {branch or 'all branches'}",
            done=f"New instances of {branch or name} serve.",
            sent={"branch": branch},
            work=lambda tell: on.formations.restart(name, branch, None, tell),
        )

    return await attempt(on, request, name, "restart", change)


@router.post("/apps/{app}/mode")
async def mode(on: On, request: Request, app: str) -> Response:
    """Serve an app, pause it, show its maintenance page, stop it, or start it."""
    name = AppName(app)
    found = await on.registry.app(name)

    def change(form: Mapping[str, str]) -> Change:
        try:
            wanted = AppMode(form.get("mode", ""))
        except ValueError:
            raise InvalidInput("the form names no mode; load the page again") from None
        if wanted is AppMode.STOPPED:
            return Change(
                call="POST /api/apps/{app}/stop",
                title=f"Stop {name}",
                done=f"{name} is stopped: visitors see a page that says so.",
                work=lambda tell: on.formations.stop(name, tell),
            )
        if found.mode is AppMode.STOPPED:
            return Change(
                call="POST /api/apps/{app}/start",
                title=f"Start {name}",
                done=f"{name} serves again.",
                work=lambda tell: on.formations.start(name, tell),
            )
        done = {
            AppMode.SERVING: f"{name} serves.",
            AppMode.PAUSED: f"Requests to {name} are held, each 30 s at most, until it serves again.",
            AppMode.MAINTENANCE: f"Visitors of {name} see its maintenance page.",
        }
        return Change(
            call="PUT /api/apps/{app}/mode",
            title=f"{name}: {wanted.value}",
            done=done[wanted],
            sent={"mode": wanted.value},
            work=lambda _: on.formations.set_mode(name, wanted),
        )

    return await attempt(on, request, name, "mode", change)


@router.post("/apps/{app}/cancel")
async def cancel(on: On, request: Request, app: str) -> Response:
    """Cancel the deploy of a branch that is under way."""
    name, by = AppName(app), (await require_operator(request)).name

    def change(form: Mapping[str, str]) -> Change:
        branch = BranchName(form.get("branch", ""))

        async def work(_: Tell) -> None:
            on.deploys.cancel(name, branch, by)

        return Change(
            call="DELETE /api/apps/{app}/deploys",
            title=f"Cancel the deploy of {branch}",
            done=f"The deploy of {branch} was cancelled.",
            sent={"branch": branch},
            work=work,
        )

    return await attempt(on, request, name, "cancel", change)


async def attempt(
    on: Platform, request: Request, name: AppName, form: str, change: Callable[[Mapping[str, str]], Change]
) -> Response:
    """Do what a form of the page of an app asks for; where it is refused the page says why, and has what was typed."""
    typed = await form_of(request)
    try:
        await on.registry.app(name)
        return await carry_out(on, request, name, change(typed))
    except BalancerError as error:
        refused(request, error)
        return await shown(on, request, name, Trouble(form=form, message=str(error), typed=typed), status=error.status)
