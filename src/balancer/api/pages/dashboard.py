"""The dashboard: every page, and what they are made of, gathered for the web application.

Invariant: a page is shown to nobody who is not signed in; only the one where one signs in is.
"""

from pathlib import Path

import plotly
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from balancer.api import sessions
from balancer.api.pages import (
    app_forms,
    app_page,
    bandit_page,
    confirming,
    log_page,
    overview,
    release_page,
    rollout_page,
    rollout_start_page,
    settings_page,
    sign_in,
    split_end_page,
    split_page,
    split_start_page,
    traffic_page,
    weights_page,
)
from balancer.api.pages.rendering import STATIC, compile_templates

PAGES = (
    overview,
    traffic_page,
    app_page,
    bandit_page,
    app_forms,
    confirming,
    weights_page,
    settings_page,
    log_page,
    release_page,
    split_start_page,
    split_end_page,
    rollout_start_page,
    rollout_page,
    split_page,
)
"""Each with its router; what begins something before what steers it by any verb."""


class _Static(StaticFiles):
    """Files that browsers ask for again each time, and are told that they have: a new version comes with new ones."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def mount(app: FastAPI) -> None:
    """Add the dashboard to the web application."""
    pages = APIRouter(include_in_schema=False, dependencies=[Depends(sessions.guard)])
    for each in PAGES:
        pages.include_router(each.router)
    app.include_router(pages)
    app.include_router(sign_in.router, include_in_schema=False)
    compile_templates()
    app.mount("/plotly", _Static(directory=Path(plotly.__file__).parent / "package_data"))
    app.mount("/static", _Static(directory=STATIC))
