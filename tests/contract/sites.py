"""A shop that is split and a blog that is not, behind a real HAProxy, and clients that send what they like."""

import asyncio
import contextlib
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from balancer.domain.routing import RouteTable
from contract.proxies import Proxy, app_route, haproxy
from contract.upstreams import Upstream, upstream

DEADLINE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, and so which rules of HAProxy answer."""

    name: str
    host: str
    cookie: str = ""

    def request(self, first: str, *lines: str, body: bytes = b"") -> bytes:
        """Return the bytes of a request of this visitor."""
        cookie = [f"Cookie: balancer={self.cookie}"] if self.cookie else []
        return "\r\n".join([f"{first} HTTP/1.1", f"Host: {self.host}", *cookie, *lines, "", ""]).encode() + body


NEW = Visitor(name="new", host="shop.localhost")
COUNTED = Visitor(name="counted", host="shop.localhost", cookie=f"{uuid.UUID(int=5)}.s7.test.1.1.1700000000000")
OF_NO_SPLIT = Visitor(name="of no split", host="blog.localhost")
VISITORS = (NEW, COUNTED, OF_NO_SPLIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, read as RFC 9112 says that it ends."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    trailers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the value of the only line with this name, or None."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None


class Client:
    """One connection to the site."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, to: str = "GET") -> Answer:
        """Return the next answer, an interim one too, to a request of the method `to`."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            status = int((await self.reader.readuntil(b"\r\n")).split(b" ")[1])
            headers = await self._lines()
            named = dict(headers)
            if to == "HEAD" or status < 200 or status in {204, 304}:
                return Answer(status=status, headers=headers, body=b"")
            if "content-length" in named:
                body = await self.reader.readexactly(int(named["content-length"]))
                return Answer(status=status, headers=headers, body=body)
            if "transfer-encoding" not in named:
                return Answer(status=status, headers=headers, body=await self.reader.read())
            body = b""
            while chunk := await self.chunk():
                body += chunk
            return Answer(status=status, headers=headers, body=body, trailers=await self._lines())

    async def chunk(self) -> bytes:
        """Return the next chunk of a body; the last one is empty, and trailers follow it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size)
            assert not size or await self.reader.readexactly(2) == b"\r\n"
            return data

    async def head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        """Return status and headers, and leave the body to be read."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            status = int((await self.reader.readuntil(b"\r\n")).split(b" ")[1])
            return status, await self._lines()

    async def rest(self) -> bytes:
        """Return what comes until the site closes."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read()

    async def _lines(self) -> tuple[tuple[str, str], ...]:
        found = []
        while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            found.append((name.lower(), value.strip()))
        return tuple(found)

    def close(self) -> None:
        """Close as a client does that has what it wanted."""
        self.writer.close()

    def reset(self) -> None:
        """Break off with an RST."""
        link = self.writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Site:
    """HAProxy, and the instance of all apps behind it."""

    proxy: Proxy
    upstream: Upstream
    clients: list[Client] = field(default_factory=list)

    async def connect(self, *, host: str = "127.0.0.1", source: str | None = None) -> Client:
        """Return a client that is connected, from `source` if that is said."""
        local = (source, 0) if source else None
        self.clients.append(Client(*await asyncio.open_connection(host, self.proxy.port, local_addr=local)))
        return self.clients[-1]

    async def ask(self, request: bytes, *, to: str = "GET") -> Answer:
        """Send one request on a connection of its own, and return the answer."""
        client = await self.connect()
        await client.send(request)
        return await client.answer(to=to)

    def begin(self) -> None:
        """Close what a test has left open, and forget what it has sent."""
        for client in self.clients:
            client.close()
        self.clients.clear()
        self.upstream.begin()


@contextlib.asynccontextmanager
async def site(directory: Path, *, host: str = "127.0.0.1", trusted_proxies: Sequence[str] = ()) -> AsyncIterator[Site]:
    """Give a HAProxy that routes to one instance."""
    async with upstream() as behind:
        ports = [behind.port]
        even = {"master": 5000, "test": 5000}
        shop = app_route("shop", {"master": ports, "test": ports}, split="s7", weights=(even,))
        routes = RouteTable(apps=(shop, app_route("blog", {"master": ports})))
        async with haproxy(directory, routes, host=host, trusted_proxies=trusted_proxies) as proxy:
            started = Site(proxy, behind)
            try:
                yield started
            finally:
                started.begin()
