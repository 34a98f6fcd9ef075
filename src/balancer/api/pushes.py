"""Pushes under way: what the update hook is believed for, and the refs that are settled when one is over.

Invariants:
    * A secret is good for one push, from its beginning to its end.
    * When it is over, nothing goes live for it any more.
    * However a push ends, its refs point at what is live afterwards.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from balancer import logs
from balancer.api import access
from balancer.api.platform import Platform, platform_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.key import KeyName
from balancer.domain.push_mode import Mode
from balancer.domain.split import CANARY

log = logs.named("pushes")
router = APIRouter(include_in_schema=False)
# 10 s: so soon a client that went away without a word is noticed.
_STILL_HERE_SECONDS = 10.0


@dataclass(slots=True)
class Push:
    """A push under way."""

    app: AppName
    by: str
    """Who pushes, for the audit log."""
    during_freeze: bool = False
    """Whether its options say that it is an emergency."""
    asked: Mode | None = None
    """What its options ask for."""
    branches: list[BranchName] = field(default_factory=list)
    """Those that it touched."""
    updates: set[asyncio.Task[object]] = field(default_factory=set)
    """What the hook waits for just now."""

    @contextlib.contextmanager
    def updating(self, branch: BranchName) -> Iterator[None]:
        """Note that the present task changes a branch for this push: it ends with the push at the latest."""
        task = asyncio.current_task()
        assert task is not None
        self.branches.append(branch)
        self.updates.add(task)
        try:
            yield
        finally:
            self.updates.discard(task)


def begin(request: Request, app: AppName, by: str) -> tuple[str, dict[str, str]]:
    """Begin a push of somebody; return its secret, and what the hook needs in its environment."""
    secret = secrets.token_urlsafe(16)
    _under_way(request)[secret] = Push(app, by)
    host, port = request.scope["server"]
    address = f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared, not bound
    return secret, {
        "BALANCER_PUSH_ADDRESS": str(platform_of(request).hooks or address),
        "BALANCER_PUSH_SECRET": secret,
        "BALANCER_PUSH_APP": app,
    }


def find(request: Request, secret: str) -> Push | None:
    """Return the push that a secret is of, None where there is none."""
    return _under_way(request).get(secret)


async def end(request: Request, platform: Platform, secret: str) -> None:
    """End a push: break off what it has not finished, and settle the refs that it touched."""
    push = _under_way(request).pop(secret, None)
    if push is None:
        return
    for task in push.updates:
        task.cancel()
    if push.updates:
        await asyncio.wait(push.updates)
    if push.branches:
        await platform.refs.settle(push.app, {*push.branches, CANARY})


@router.post("/git/{app}/session")
async def session(request: Request, app: str, key: str = "") -> StreamingResponse:
    """Begin a push that somebody else runs git for; it lasts until the client goes away."""
    platform = platform_of(request)
    caller = await access.check(request, platform.registry)
    name = (await platform.registry.app(AppName(app))).name
    await platform.repositories.create(name)
    secret, environment = begin(request, name, f"key {KeyName(key)}" if key else caller.who)
    log.info("session.begun", app=name, key=key)
    head = json.dumps({"repository": str(platform.repositories.path(name)), "environment": environment})

    async def held() -> AsyncIterator[str]:
        try:
            yield head + "\n"
            while True:
                await asyncio.sleep(_STILL_HERE_SECONDS)
                yield "\n"
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(end(request, platform, secret))

    return StreamingResponse(held(), media_type="text/plain")


def _under_way(request: Request) -> dict[str, Push]:
    """Return the pushes under way, by their secrets."""
    pushes: dict[str, Push] = request.app.state.pushes
    return pushes
