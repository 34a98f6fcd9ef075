"""Calls of providers: `POST /hooks/{app}`.

Invariants:
    * Who has not the secret is told nothing, not even whether the app exists.
    * A call is answered at once; what it asks for goes on in the background.
"""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from balancer.api.noting import note_of
from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.source import PullSource
from balancer.domain.webhook import Pushed, check, read
from balancer.errors import InvalidInput, InvalidName, NotFound, Unauthorized

router = APIRouter(include_in_schema=False)
# 5 MiB: GitHub tells at most 2,048 commits of a push, which is less.
_LIMIT_BYTES = 5 * 1024**2


@router.post("/hooks/{app}")
async def call(on: On, app: str, request: Request) -> JSONResponse:
    """Hear what a provider says."""
    source = await _source(on, app)
    body = await _body(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    check(headers, body, source.secret)
    said = read(headers, body)
    nothing = on.pulls.follow(source, said)
    if nothing is not None:
        return JSONResponse({"nothing": nothing})
    note = note_of(request)
    note.who, note.outcome = "webhook", "begun"
    note.sent = {"app": source.app, "branch": getattr(said, "branch", None)}
    note.sent |= {"commit": said.commit[:10]} if isinstance(said, Pushed) else {"delete": True}
    begun = {"app": source.app, "branch": getattr(said, "branch", None)}
    return JSONResponse({**begun, "commit": said.commit if isinstance(said, Pushed) else None}, 202)


async def _source(on: On, app: str) -> PullSource:
    try:
        return await on.registry.source(AppName(app))
    except (InvalidName, NotFound):
        raise Unauthorized from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LIMIT_BYTES:
            raise InvalidInput(f"the call has more than {_LIMIT_BYTES} bytes")
    return bytes(body)
