"""Those who are told, on the loopback: an HTTP server and a mail server that say what a test wants them to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Call:
    """A request that came."""

    head: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that remembers its requests."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What it answers next, `HTTP/1.1 …` with its headers; where none is left, 204. `hang`: nothing."""
    hangs: bool = False
    """Whether it answers nothing, from now on."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/s3cret"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.calls.append(Call(head, headers, body))
            if self.hangs:
                await reader.read()  # until who asks has had enough
            else:
                answer = self.answers.pop(0) if self.answers else "HTTP/1.1 204 No Content\r\n"
                writer.write(f"{answer}Connection: close\r\n\r\n".encode())
                await writer.drain()


@dataclass
class Mailbox:
    """A mail server that remembers its messages."""

    port: int = 0
    messages: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What was said to it."""
    refuses: bool = False
    """Whether it refuses recipients."""
    hangs: bool = False
    """Whether it greets nobody."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if self.hangs:
                await reader.read()
            else:
                await self._converse(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            match line.split()[0].upper():
                case "EHLO":
                    writer.write(b"250-here\r\n250 AUTH PLAIN\r\n")
                case "AUTH":
                    writer.write(b"235 welcome\r\n")
                case "RCPT" if self.refuses:
                    writer.write(b"550 nobody of this name\r\n")
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                    self.messages.append(text)
                    writer.write(b"250 kept\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    await writer.drain()
                    return
                case _:
                    writer.write(b"250 ok\r\n")
            await writer.drain()


async def _served(what: "Receiver | Mailbox", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await what.serve(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Give an HTTP server, and end it."""
    receiver = Receiver()
    async with _listening(receiver):
        yield receiver


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """Give a mail server, and end it."""
    box = Mailbox()
    async with _listening(box):
        yield box


@asynccontextmanager
async def _listening(what: Receiver | Mailbox) -> AsyncIterator[None]:
    under_way: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_served(what, reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    what.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
