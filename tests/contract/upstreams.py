"""An instance that keeps what it was sent to the byte, and answers as its paths say."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_HTML = "Content-Type: text/html\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in order."""
    body: bytes
    trailers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Return the values of each line with this name."""
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True)
class Upstream:
    """What has arrived, and what is still to be answered."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    """All bytes of all connections, in order of their arrival."""
    connections: int = 0
    """Open now."""
    waiting: int = 0
    """Requests that `go` holds back now."""
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """Forget what has arrived."""
        self.requests.clear()
        self.raw.clear()
        self.go.clear()

    def paths(self) -> list[str]:
        """Return the paths that arrived, in order."""
        return [request.path for request in self.requests]

    def last(self, path: str) -> Request:
        """Return the newest request for `path`."""
        return next(request for request in reversed(self.requests) if request.path == path)


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """Give an instance on a port of its own."""
    found = Upstream()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        found.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _serve(found, _Recorder(found, reader), writer)
        finally:
            found.connections -= 1
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.go.set()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Recorder:
    """Reads, and keeps what was read."""

    def __init__(self, found: Upstream, reader: asyncio.StreamReader) -> None:
        self._found, self._reader = found, reader

    async def line(self) -> bytes:
        return self._keep(await self._reader.readuntil(b"\n"))

    async def exactly(self, count: int) -> bytes:
        return self._keep(await self._reader.readexactly(count))

    async def some(self) -> bytes:
        return self._keep(await self._reader.read(65_536))

    def _keep(self, data: bytes) -> bytes:
        self._found.raw += data
        return data


async def _lines(reader: _Recorder) -> tuple[tuple[str, str], ...]:
    """Read header lines up to the empty one; each ends as it must."""
    lines = []
    while (line := await reader.line()) != b"\r\n":
        assert line.endswith(b"\r\n"), line
        name, _, value = line.decode("latin-1").partition(":")
        lines.append((name.lower(), value.strip()))
    return tuple(lines)


async def _body(reader: _Recorder, headers: dict[str, str]) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    if "transfer-encoding" in headers:
        assert headers["transfer-encoding"].lower() == "chunked"
        body = b""
        while size := int((await reader.line()).split(b";")[0], 16):
            body += await reader.exactly(size)
            assert await reader.exactly(2) == b"\r\n"
        return body, await _lines(reader)
    return await reader.exactly(int(headers.get("content-length", "0"))), ()


async def _serve(found: Upstream, reader: _Recorder, writer: asyncio.StreamWriter) -> None:
    while True:
        method, path, _ = (await reader.line()).decode("latin-1").split(" ", 2)
        lines = await _lines(reader)
        if path == "/refused":
            writer.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if ("expect", "100-continue") in lines and path == "/continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, trailers = await _body(reader, dict(lines))
        request = Request(method=method, path=path, headers=lines, body=body, trailers=trailers)
        found.requests.append(request)
        if not await _ANSWERS.get(path.partition("?")[0], _plain)(found, request, reader, writer):
            return


_Answer = Callable[[Upstream, Request, _Recorder, asyncio.StreamWriter], Awaitable[bool]]


async def _plain(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    body = b"" if request.method == "HEAD" else request.path.encode()
    writer.write(f"HTTP/1.1 200 OK\r\n{_HTML}Content-Length: {len(request.path)}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


async def _hold(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    found.waiting += 1
    gone, told = asyncio.ensure_future(reader.some()), asyncio.ensure_future(found.go.wait())
    try:
        await asyncio.wait((gone, told), return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            return False
    finally:
        found.waiting -= 1
        gone.cancel()
        told.cancel()
    await _plain(found, request, reader, writer)
    return False


async def _events(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(_chunk(b"data: one\n\n"))
    await writer.drain()
    found.waiting += 1
    gone, told = asyncio.ensure_future(reader.some()), asyncio.ensure_future(found.go.wait())
    try:
        await asyncio.wait((gone, told), return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            return False
    finally:
        found.waiting -= 1
        gone.cancel()
        told.cancel()
    writer.write(_chunk(b"data: two\n\n") + b"0\r\n\r\n")
    await writer.drain()
    return False


async def _endless(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(_chunk(b"x" * 16_384))
        await writer.drain()


async def _websocket(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    key = dict(request.headers)["sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
    head = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{head}".encode())
    while data := await reader.some():
        writer.write(data)
        await writer.drain()
    return False


async def _not_modified(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(f'HTTP/1.1 304 Not Modified\r\n{_HTML}ETag: "7"\r\nContent-Length: 4711\r\n\r\n'.encode())
    await writer.drain()
    return True


async def _trailers(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(f"HTTP/1.1 200 OK\r\n{_HTML}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n".encode())
    writer.write(_chunk(b"one") + _chunk(b"two") + b"0\r\nX-Sum: 7\r\n\r\n")
    await writer.drain()
    return True


async def _hints(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
    return await _plain(found, request, reader, writer)


async def _large(found: Upstream, request: Request, reader: _Recorder, writer: asyncio.StreamWriter) -> bool:
    writer.write(f"HTTP/1.1 200 OK\r\nX-Large: {'x' * 65_536}\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()
    return False


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_ANSWERS: dict[str, _Answer] = {
    "/hold": _hold,
    "/events": _events,
    "/endless": _endless,
    "/websocket": _websocket,
    "/not-modified": _not_modified,
    "/trailers": _trailers,
    "/hints": _hints,
    "/large": _large,
}
