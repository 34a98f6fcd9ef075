"""How long the real HAProxy lets a connection be silent: an answer a minute, event streams and websockets an hour.

The times of the rendering are made shorter: a minute is a second, an hour six.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.routing import RouteTable
from balancer.proxy.render import Renderer, Rendering
from contract.proxies import Proxy, app_route, haproxy

pytestmark = pytest.mark.anyio
PLAIN, STREAM, SOCKET = (
    "Accept: */*",
    "Accept: text/html, Text/Event-Stream",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
DEADLINE_SECONDS = 30


class Silent:
    """An instance that begins an answer and says nothing more until it is told to."""

    def __init__(self) -> None:
        self.speak = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"upgrade: websocket" in head:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
            writer.write(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        elif b" /late " not in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await self.speak.wait()
        if b" /late " in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        writer.write(b"data")
        with contextlib.suppress(ConnectionError):  # of one that HAProxy has given up
            await reader.read()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    found = Silent()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        found.speak.set()


@pytest.fixture
async def proxy(tmp_path: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    as_it_is = Renderer.render

    def shorter(renderer: Renderer, table: RouteTable) -> Rendering:
        rendering = as_it_is(renderer, table)
        text = rendering.config.replace(" 60s\n", " 1s\n").replace(" 1h", " 6s")
        assert text.count(" 1s\n") == 2, "of the client and of the server"
        return replace(rendering, config=text)

    monkeypatch.setattr(Renderer, "render", shorter)
    async with haproxy(tmp_path, RouteTable(apps=(app_route("shop", {"master": [silent.port]}),))) as started:
        yield started


@asynccontextmanager
async def asked(proxy: Proxy, header: str, path: str = "/") -> AsyncIterator[Callable[[], "asyncio.Future[bytes]"]]:
    """Send a request, and give what reads the answer to its end, without its head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.localhost\r\n{header}\r\n\r\n".encode())

    async def rest() -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return (await reader.readuntil(b"\r\n\r\n")).split()[1] + b" " + await reader.read(4)

    try:
        yield lambda: asyncio.ensure_future(rest())
    finally:
        writer.close()


async def two_silences(proxy: Proxy) -> None:
    """Return when an answer that stays silent was cut, and another that began after it."""
    for _ in range(2):
        async with asked(proxy, PLAIN) as answer:
            assert await answer() == b"200 "


@pytest.mark.parametrize(
    ("header", "path", "answer"),
    [
        (STREAM, "/", b"200 data"),
        (STREAM, "/late", b"200 data"),
        (SOCKET, "/", b"101 data"),
    ],
)
async def test_what_listens_may_wait_while_a_silent_answer_is_cut(
    proxy: Proxy, silent: Silent, header: str, path: str, answer: bytes
) -> None:
    async with asked(proxy, header, path) as listening:
        await two_silences(proxy)
        silent.speak.set()
        assert await listening() == answer


@pytest.mark.parametrize("header", [STREAM, SOCKET])
async def test_what_listens_is_cut_in_the_end(proxy: Proxy, header: str) -> None:
    async with asked(proxy, header) as listening:
        assert (await listening())[3:] == b" "
