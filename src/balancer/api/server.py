"""The server of the admin API: where it listens, and how it ends so that nobody is turned away.

Invariants:
    * While it is to be replaced no new connection is taken: they wait in the queue of the listening socket.
    * What changes something, a push above all, is finished before.
    * The update hook of a push under way finds us meanwhile: it has a socket of its own.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balancer.sockets import listening, short_path

# 900 s: as long as a build may take. Until then we wait for a moment in which no deploy is under way, and serve.
_QUIET_SECONDS = 900.0
# 90 s: what began meanwhile is waited for while new calls wait too; the commands wait 120 s for an answer.
_FINISH_SECONDS = 90.0
# 0.2 s for the request of a connection that was just taken, 5 s for answers that change nothing.
_SETTLE_SECONDS, _ANSWER_SECONDS, _POLL_SECONDS = 0.2, 5.0, 0.05
# Our own log instead of uvicorn's; and what a client says of where it comes from counts for nothing.
_QUIET: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "lifespan": "off",
    "proxy_headers": False,
    "server_header": False,
}
# 2,048, as uvicorn has it.
_BACKLOG = 2048
_READING = ("GET", "HEAD", "OPTIONS")
_ENDING = "ending"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket for the admin API, where calls wait until it is served. Raises PortTaken, AddressUnusable."""
    return listening(host, port, backlog=_BACKLOG, option="--admin-host or --admin-port")


def listen_for_hooks(path: Path) -> socket.socket:
    """Return a socket for the update hooks of pushes; of our user alone, as its directory is."""
    path.unlink(missing_ok=True)
    hooks = socket.socket(socket.AF_UNIX)
    with short_path(path) as short:
        hooks.bind(short)
    return hooks


def ending_of(scope: Scope) -> asyncio.Event:
    """Return what is set when answers that last are to end, since the server is about to be replaced."""
    found = scope.get("state", {}).get(_ENDING)
    return found if isinstance(found, asyncio.Event) else asyncio.Event()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the daemon decides when it stops."""

    def __init__(self, app: ASGIApp, *, admin: socket.socket, hooks: socket.socket, busy: Callable[[], bool]) -> None:
        self._requests = _Requests(app)
        super().__init__(uvicorn.Config(self._requests, **_QUIET))
        self._admin, self._hooks = admin, hooks
        self._busy = busy
        """Tells whether deploys are under way that no request waits for."""

    async def run_until_told(self) -> None:
        """Serve; until `should_exit` is set, or cancelled."""
        await self.serve(sockets=[self._admin, self._hooks])

    async def finish(self) -> socket.socket:
        """Finish what changes something, take no new connection, and return the socket where they wait."""
        await self._until_quiet(_QUIET_SECONDS)
        self._requests.ending.set()
        kept = self._admin.dup()
        self.servers[0].close()
        self._requests.closing = True
        await asyncio.sleep(_SETTLE_SECONDS)
        await self._until_quiet(_FINISH_SECONDS)
        return kept

    async def end(self, serving: asyncio.Task[None]) -> None:
        """Close the connections; answers that are still being written are given a moment."""
        self.should_exit = True
        await asyncio.wait([serving], timeout=_ANSWER_SECONDS)

    async def _until_quiet(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._requests.changing or self._busy():  # noqa: ASYNC110 - three things end in their own ways
                    await asyncio.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Requests:
    """An application that counts the requests of another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.changing = 0
        """How many are under way that may change something."""
        self.closing = False
        """Whether clients are asked to connect again for their next request."""
        self.ending = asyncio.Event()
        """Set when answers that last, such as those of pages that are kept up to date, are to end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one."""

        async def closing(message: Message) -> None:
            if self.closing and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        scope.setdefault("state", {})[_ENDING] = self.ending
        changes = scope["type"] == "http" and scope["method"] not in _READING
        self.changing += changes
        try:
            await self._app(scope, receive, closing)
        finally:
            self.changing -= changes
