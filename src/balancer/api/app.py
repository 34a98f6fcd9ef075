"""The web application of the admin API: routes, errors, documentation.

Invariant: every deliberate failure is answered here and nowhere else: as an ErrorBody, or to a browser as a page.
"""

from pathlib import Path

import swagger_ui_bundle
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from balancer import __version__
from balancer.api import admin, git, hooks, pushes, sessions
from balancer.api.heads import Heads, allowed
from balancer.api.noting import Noting
from balancer.api.pages import dashboard, failures
from balancer.api.platform import Platform
from balancer.api.safety import Safety
from balancer.errors import BalancerError, InvalidInput, NotFound, TooManyAttempts, Unavailable, deliberate
from balancer.wire.body import ErrorBody


def build(platform: Platform) -> FastAPI:
    """Return the application that works on `platform`."""
    app = FastAPI(
        title="Balancer",
        version=__version__,
        description="Continuous deployment with split testing. Give a token as Bearer.",
        docs_url=None,
        redoc_url=None,
    )
    # The viewer of the documentation reads 3.0; nothing here needs 3.1.
    app.openapi_version = "3.0.3"
    app.state.platform = platform
    app.state.pushes = {}
    app.add_middleware(Noting)
    app.add_middleware(Safety)
    app.add_middleware(Heads)
    app.include_router(admin.router)
    app.include_router(pushes.router)
    app.include_router(git.router)
    app.include_router(hooks.router)
    app.include_router(sessions.router)
    dashboard.mount(app)
    app.add_exception_handler(BalancerError, _failed)
    app.add_exception_handler(OSError, _failed_by_the_system)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _unexpected)
    # The pages of the documentation come from an installed package: nothing is loaded from elsewhere.
    app.mount("/docs/assets", StaticFiles(directory=Path(swagger_ui_bundle.swagger_ui_path)))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        assets = "/docs/assets"
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Balancer: API",
            swagger_js_url=f"{assets}/swagger-ui-bundle.js",
            swagger_css_url=f"{assets}/swagger-ui.css",
            swagger_favicon_url=f"{assets}/favicon-32x32.png",
        )

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    return app


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, BalancerError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if isinstance(error, Unavailable | TooManyAttempts):
        headers = {"Retry-After": str(error.retry_after_seconds)}
    if failures.is_for_a_browser(request):
        return await failures.failed(request, error, headers=headers)
    return JSONResponse(ErrorBody.of(error).model_dump(), error.status, headers)


async def _failed_by_the_system(request: Request, error: Exception) -> Response:
    reason = deliberate(error)
    if not isinstance(reason, BalancerError):
        raise error
    return await _failed(request, reason)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer in words; the server raises the error once more, and so it is in the log."""
    return await _failed(
        request,
        BalancerError(
            "this is a fault of Balancer and not of what was asked; whether anything was done is not known. Load the "
            "page again. For whoever runs it: what happened is in the platform's log, as `uvicorn.error`"
        ),
    )


async def _misunderstood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return await _failed(request, InvalidInput(f"the request does not parse: {faults}; /docs shows what is expected"))


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    reason: BalancerError = NotFound(f"there is nothing at {path}; /docs shows what there is")
    if error.status_code != NotFound.status:
        reason = InvalidInput(f"{request.method} is not possible at {path}; /docs shows what is")
    headers = allowed(error.headers)
    if failures.is_for_a_browser(request):
        return await failures.failed(request, reason, status=error.status_code, headers=headers)
    return JSONResponse(ErrorBody.of(reason).model_dump(), error.status_code, headers)
