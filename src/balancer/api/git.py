"""Pushes over smart HTTP: `git http-backend` behind our token, and the daemon's side of the update hook.

Invariants:
    * A push whose deploy fails is refused, and its ref does not move.
    * The hook is believed only with the secret of a push that is under way.
    * When a push is over, the refs it touched point at what is live.
"""

import asyncio
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import IO

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from balancer import logs
from balancer.api import access, pushes
from balancer.api.noting import Note, note_of
from balancer.api.platform import Platform, platform_of
from balancer.api.streams import lines_of
from balancer.cancellation import to_its_end
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.audit import BROKEN_OFF, FAILED
from balancer.domain.push_mode import option
from balancer.errors import BalancerError, InvalidInput, NotFound, Unauthorized, deliberate
from balancer.runner.git_command import environment
from balancer.services.freeze import DURING_FREEZE
from balancer.services.interfaces import Tell

log = logs.named("git")
router = APIRouter(include_in_schema=False)
_PATH = re.compile(r"(?P<app>[^/]+)\.git/(?P<rest>info/refs|git-receive-pack|git-upload-pack|HEAD|objects/.*)")
_ZERO = re.compile(r"0+")
_CHUNK_BYTES = 65_536


class _Update(BaseModel):
    """What the hook was called with."""

    ref: str
    old: str
    new: str


class _Options(BaseModel):
    """What whoever pushes has asked for: `git push -o …`."""

    options: list[str]


@router.post("/git/{app}/options")
async def options(request: Request, app: str, body: _Options) -> Response:
    """Take the options of a push, before anything of it is deployed; one that we do not know refuses the push."""
    push = _push(request, app)
    try:
        for text in body.options:
            if text == DURING_FREEZE:
                push.during_freeze = True
            else:
                push.asked = option(text)
    except InvalidInput as error:
        return PlainTextResponse(f"-----> Refused: {error}\n       Nothing was deployed.\n\0no\n")
    return PlainTextResponse("\0ok\n")


@router.post("/git/{app}/update")
async def update(request: Request, app: str, body: _Update) -> Response:
    """Deploy what a push brings; the answer is what the pusher sees, and the verdict last."""
    platform = platform_of(request)
    push = _push(request, app)
    note = note_of(request)
    note.who, note.what = push.by, "git push"
    deletes = bool(_ZERO.fullmatch(body.new))
    change: dict[str, object] = {"delete": True} if deletes else {"commit": body.new[:10]}
    if push.during_freeze:
        change["during_freeze"] = True
    if push.asked is not None:
        change["rollout"] = push.asked.value
    note.sent = {"app": push.app, "ref": body.ref.removeprefix("refs/heads/"), **change}
    return StreamingResponse(_deployed(platform, push, body, note), media_type="text/plain")


def _push(request: Request, app: str) -> pushes.Push:
    """Return the push under way that our hook speaks of. Raises Unauthorized."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    push = pushes.find(request, secret) if scheme == "Push" else None
    if push is None or push.app != app:
        raise Unauthorized
    return push


@router.api_route("/git/{path:path}", methods=["GET", "POST"])
async def serve(request: Request, path: str) -> Response:
    """Speak git."""
    try:
        return await _served(request, path)
    except Unauthorized as error:
        return PlainTextResponse(
            f"{error}\n", 401, {"WWW-Authenticate": 'Basic realm="balancer: the token is the password"'}
        )
    except OSError as reason:
        meant = deliberate(reason)
        if not isinstance(meant, BalancerError):
            raise
        return PlainTextResponse(f"{meant}\n", meant.status)
    except BalancerError as error:  # as text, which git shows; of JSON it shows nothing
        return PlainTextResponse(f"{error}\n", error.status)


async def _served(request: Request, path: str) -> Response:
    platform = platform_of(request)
    caller = await access.check(request, platform.registry)
    found = _PATH.fullmatch(path)
    if not found:
        raise NotFound(f"/git/{path} is no repository; `balancer apps remote APP` prints the remote of an app")
    app = (await platform.registry.app(AppName(found["app"]))).name
    if request.query_params.get("service") == "git-receive-pack":
        platform.disk.check_room()  # now, since of an answer to the push itself git shows the status alone
    await platform.repositories.create(app)
    body = await _spooled(request, platform)
    secret, hook = pushes.begin(request, app, caller.who)
    try:
        process = await _http_backend(request, platform, app, found["rest"], hook, body)
    except BaseException:
        await to_its_end(pushes.end(request, platform, secret))
        raise
    finally:
        body.close()
    assert process.stdout is not None
    status, headers = await _cgi_head(process.stdout)
    return StreamingResponse(_relayed(request, platform, process, secret), status, headers)


async def _deployed(platform: Platform, push: pushes.Push, body: _Update, note: Note) -> AsyncIterator[str]:
    async def work(tell: Tell) -> None:
        if body.ref.startswith("refs/tags/"):
            tell(f"-----> Kept: {body.ref.removeprefix('refs/tags/')}; nothing is deployed for a tag")
            return
        if not body.ref.startswith("refs/heads/"):
            raise NotFound(f"{body.ref} is no branch; only branches are deployed (git push REMOTE BRANCH)")
        branch = BranchName(body.ref.removeprefix("refs/heads/"))
        before = None if _ZERO.fullmatch(body.old) else Commit(body.old)
        with push.updating(branch):
            if _ZERO.fullmatch(body.new):
                await platform.branches.remove(push.app, branch, tell, before=before)
            else:
                await platform.deploys.push(
                    push.app, branch, Commit(body.new), before, tell, asked=push.asked, during_freeze=push.during_freeze
                )

    async for item in lines_of(work):
        if isinstance(item, str):
            yield item.replace("\0", "") + "\n"
            continue
        if item.cancelled():  # the push is over
            note.outcome = BROKEN_OFF
            return
        error = item.exception()
        if error is None:
            yield "\0ok\n"
        else:
            note.outcome = error.code() if isinstance(error, BalancerError) else FAILED
            why = str(error) if isinstance(error, BalancerError) else f"a fault of ours ({type(error).__name__})"
            if not isinstance(error, BalancerError):
                log.error("push.broke", app=push.app, error=error)
            what = "Not taken down" if _ZERO.fullmatch(body.new) else "Not live"
            yield f"-----> {what}: {why}\n       Nothing was switched; what was live before still is.\n\0no\n"


async def _relayed(
    request: Request, platform: Platform, process: asyncio.subprocess.Process, secret: str
) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    try:
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            yield chunk
    finally:
        # Reached also when the pusher goes away: then the hook loses us, and its deploy is cancelled.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await asyncio.shield(_closed(request, platform, process, secret))


async def _closed(request: Request, platform: Platform, process: asyncio.subprocess.Process, secret: str) -> None:
    await process.wait()
    await pushes.end(request, platform, secret)


async def _spooled(request: Request, platform: Platform) -> IO[bytes]:
    """Return the body of the request as a file: git's answer begins only when it has read all."""
    body = tempfile.TemporaryFile(dir=platform.spool)  # noqa: SIM115 - closed by the caller
    async for chunk in request.stream():
        body.write(chunk)
    body.seek(0)
    return body


async def _http_backend(
    request: Request, platform: Platform, app: AppName, rest: str, hook: Mapping[str, str], body: IO[bytes]
) -> asyncio.subprocess.Process:
    variables = {
        "GIT_PROJECT_ROOT": str(platform.repositories.directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{app}.git/{rest}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REMOTE_USER": "push",
        "REMOTE_ADDR": request.client.host if request.client else "",
        **hook,
    }
    return await asyncio.create_subprocess_exec(
        *("git", "http-backend"),
        env=environment(variables),
        stdin=body.fileno(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _cgi_head(output: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Return status and headers that a CGI program (RFC 3875) begins its output with."""
    status, headers = 200, {}
    while line := (await output.readline()).decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return status, headers
