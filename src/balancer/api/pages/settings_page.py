"""The settings of an app, `/apps/APP/settings`: its config vars, its domains, how to push to it.

Invariants:
    * The values of config vars are shown on demand, to operators, and that is noted.
    * A value that was typed is not in a page again, but where the form that it was typed into was refused.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.noting import note_of
from balancer.api.pages.acting import Change, Trouble, carry_out, forget_said, refused, said_of
from balancer.api.pages.rendering import page
from balancer.api.platform import On, Platform
from balancer.api.sessions import form_of
from balancer.domain.app import AppName, ConfigChanges, ConfigKey, ConfigValue
from balancer.errors import BalancerError

router = APIRouter()


@router.get("/apps/{app}/settings")
async def settings(on: On, request: Request, app: str) -> Response:
    """Show what an app is set to."""
    return await _page(on, request, AppName(app))


@router.post("/apps/{app}/config")
async def set_config(on: On, request: Request, app: str) -> Response:
    """Set one config var."""
    return await _change(on, request, AppName(app), "set")


@router.post("/apps/{app}/config/unset")
async def unset_config(on: On, request: Request, app: str) -> Response:
    """Remove one config var."""
    return await _change(on, request, AppName(app), "unset")


@router.post("/apps/{app}/config/show")
async def show_config(on: On, request: Request, app: str) -> Response:
    """Show the values of the config vars."""
    name = AppName(app)
    note_of(request).what, note_of(request).sent = "GET /api/apps/{app}/config", {"app": name}
    return await _page(on, request, name, values=await on.registry.config(name))


async def _change(on: Platform, request: Request, name: AppName, form: str) -> Response:
    typed = await form_of(request)
    try:
        await on.registry.app(name)
        key = ConfigKey(typed.get("key", "").strip())
        # A browser ends the lines of a form by CR LF, whatever was typed.
        value = ConfigValue(typed.get("value", "").replace("\r\n", "\n")) if form == "set" else None
        later = "later" in typed
        changes: ConfigChanges = {key: value}
        when = "the next release has it" if later else "what is live has it"
        change = Change(
            call="PATCH /api/apps/{app}/config",
            title=f"{form.capitalize()} {key}",
            done=f"{key} is set: {when}." if form == "set" else f"{key} is no more: {when.replace('it', 'it not')}.",
            sent={"config": {key: value and "…"}, "later": later},
            work=lambda tell: on.config_vars.change(name, changes, tell, later=later),
        )
        return await carry_out(on, request, name, change, f"/apps/{name}/settings")
    except BalancerError as error:
        refused(request, error)
        trouble = Trouble(form=form, message=str(error), typed=typed)
        return await _page(on, request, name, trouble=trouble, status=error.status)


async def _page(
    on: Platform,
    request: Request,
    name: AppName,
    *,
    trouble: Trouble | None = None,
    values: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    app = await on.registry.app(name)
    said = await said_of(request)
    answer = await page(
        request,
        "settings.html",
        status=status,
        app=app,
        urls=on.urls(app),
        keys=sorted(await on.registry.config(name)),
        values=values,
        trouble=trouble,
        under_way=[each for each in on.undertakings.of(name) if each.ended_at is None],
        said=said,
    )
    if said:
        forget_said(name, answer)
    return answer
