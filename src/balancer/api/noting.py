"""What every call that changes something passes: it is noted in the audit log, with how it ended.

Invariants:
    * A call is noted before its answer has ended, so that whoever reads on finds it.
    * Calls without a token of ours are not noted: strangers could fill the disk with them.
    * Nothing of a body is kept but what `domain.audit` lets through; large bodies are not looked at.

A route may say more of its call than the call does, by `note_of(request)`: who pushes, and what became of it.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balancer.api.platform import Platform
from balancer.domain.app import AppName
from balancer.domain.audit import BROKEN_OFF, DONE, FAILED, summary
from balancer.errors import InvalidName

_READING = ("GET", "HEAD", "OPTIONS")
# What is sent all day long and changes nothing that an operator decides on, and what is noted elsewhere: git calls our
# hook once for each branch.
_NOT_NOTED = frozenset(
    {
        "POST /api/apps/{app}/events",
        "PUT /api/apps/{app}/runs/{run}/input",
        "POST /git/{path:path}",
        "POST /git/{app}/session",
    }
)
# 64 KB: what JSON of ours is longer is no order of an operator.
_LIMIT_BYTES = 65_536
_STATE = "note"


@dataclass(slots=True)
class Note:
    """What is known of a call."""

    who: str | None = None
    """None as long as no token was shown."""
    what: str | None = None
    """None: the route."""
    sent: dict[str, object] | None = None
    """None: what the path, the query and the body say."""
    outcome: str | None = None
    """None: what the answer says."""


@dataclass(slots=True)
class _Heard:
    """What came and what went, of one call."""

    body: bytearray = field(default_factory=bytearray)
    status: int = 0
    answer: bytes = b""
    """The last part of it: of a stream the last line, which says how it has ended."""
    ended: bool = False


def note_of(request: Request) -> Note:
    """Return what is known of a call, to add to it."""
    note: Note = request.scope.setdefault("state", {}).setdefault(_STATE, Note())
    return note


class Noting:
    """An application that notes the calls of another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        note, heard = Note(), _Heard()
        scope.setdefault("state", {})[_STATE] = note

        async def hearing() -> Message:
            message = await receive()
            if len(heard.body) <= _LIMIT_BYTES:
                heard.body += message.get("body", b"")
            return message

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                heard.status = message["status"]
            elif message["type"] == "http.response.body":
                heard.answer = message.get("body") or heard.answer
                if not message.get("more_body", False):
                    heard.ended = True
                    await self._write(scope, note, heard, _outcome(heard))
            await send(message)

        try:
            await self._app(scope, hearing, noting)
        except asyncio.CancelledError:
            if not heard.ended:
                await self._write(scope, note, heard, BROKEN_OFF)
            raise
        except Exception:
            if not heard.ended:
                await self._write(scope, note, heard, FAILED)
            raise
        if not heard.ended:  # nobody reads on
            await self._write(scope, note, heard, BROKEN_OFF)

    async def _write(self, scope: Scope, note: Note, heard: _Heard, outcome: str) -> None:
        route = route_of(scope)
        what = note.what or route
        if note.who is None or what is None or (note.what is None and route in _NOT_NOTED):
            return
        sent = _sent(scope, heard) if note.sent is None else note.sent
        app = sent.pop("app", None) or (sent.pop("name", None) if route == "POST /api/apps" else None)
        platform: Platform = scope["app"].state.platform
        await platform.audit.note(note.who, what, app=_app(app), summary=summary(sent), outcome=note.outcome or outcome)


def route_of(scope: Scope) -> str | None:
    """Return method and template of the route that a call has taken; the values in its path are not in it."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return None
    # Of a router in a router some versions of FastAPI know only the inner part.
    inside = scope["path"].startswith("/api/") and not template.startswith("/api/")
    return f"{scope['method']} {'/api' if inside else ''}{template}"


def _sent(scope: Scope, heard: _Heard) -> dict[str, object]:
    sent: dict[str, object] = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    headers = dict(scope["headers"])
    if len(heard.body) <= _LIMIT_BYTES and headers.get(b"content-type", b"").startswith(b"application/json"):
        sent |= _object(bytes(heard.body))
    sent.update(scope.get("path_params", {}))
    return sent


def _outcome(heard: _Heard) -> str:
    """Return how a call has ended, by the last line of its answer."""
    if heard.status >= 500 and not _object(heard.answer):
        return FAILED
    error = _object(heard.answer).get("error")
    if isinstance(error, Mapping):  # of a stream
        error = error.get("error")
    if isinstance(error, str):
        return error
    return DONE if heard.status < 400 else str(heard.status)


def _object(text: bytes) -> dict[str, object]:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _app(name: object) -> AppName | None:
    try:
        return AppName(name) if isinstance(name, str) else None
    except InvalidName:
        return None
