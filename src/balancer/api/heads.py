"""HEAD: wherever GET answers, HEAD gives the same status and headers, and no body (RFC 9110, 9.3.2).

Invariants:
    * Who may do what, and what is noted, is as with GET: the call is one from here on.
    * What would never end, such as a page that is kept up to date, ends with its headers.

The web framework answers HEAD for files alone.
"""

import asyncio
import contextlib
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """An application that answers HEAD by what another one answers to GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def heads(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                if "content-length" not in Headers(raw=message["headers"]):  # it is made while it is read
                    answered.set()

        answering = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, heads))
        enough = asyncio.ensure_future(answered.wait())
        try:
            await asyncio.wait({answering, enough}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            enough.cancel()
            # A stream is broken off, as by a reader who goes away.
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering


def allowed(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers of a refusal, whose `Allow` names HEAD where it names GET."""
    return {
        name: f"{value}, HEAD" if name.lower() == "allow" and "GET" in value.split(", ") else value
        for name, value in (headers or {}).items()
    }
