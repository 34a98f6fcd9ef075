"""The server of the admin API, in one process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from balancer.api.server import Server, ending_of, listen, listen_for_hooks
from served import NO_TLS
from waiting import eventually

pytestmark = pytest.mark.anyio


async def lasting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a stream that lasts until the server asks for its end."""

    async def lines() -> AsyncIterator[str]:
        yield "begun\n"
        await ending_of(scope).wait()
        yield "asked to end\n"

    await StreamingResponse(lines())(scope, receive, send)


async def test_answers_that_last_are_asked_to_end_before_the_server_is_replaced(tmp_path: Path) -> None:
    admin = listen("127.0.0.1", 0)
    server = Server(lasting, admin=admin, hooks=listen_for_hooks(tmp_path / "hooks.sock"), busy=lambda: False)
    serving = asyncio.ensure_future(server.run_until_told())
    await eventually(lambda: server.started, 30)
    url = f"http://127.0.0.1:{admin.getsockname()[1]}/"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=20, verify=NO_TLS) as client,
        client.stream("GET", url) as page,
    ):
        lines = page.aiter_lines()
        assert await anext(lines) == "begun"
        kept = await server.finish()
        assert await anext(lines) == "asked to end"
        with pytest.raises(StopAsyncIteration):
            await anext(lines)
    kept.close()
    await server.end(serving)
    assert serving.done()
