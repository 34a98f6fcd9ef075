"""One request of real servers that answer in all the ways there are."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from balancer.runner.ask import NoAnswer, status_of

pytestmark = pytest.mark.anyio


class Server:
    """A server that sends pieces, and then closes or does not."""

    def __init__(self, pieces: tuple[bytes, ...], *, closes: bool) -> None:
        self.asked = b""
        self.cut_off = False
        self._pieces, self._closes = pieces, closes
        self.done = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = await reader.readuntil(b"\r\n\r\n")
        try:
            for piece in self._pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if not self._closes:
                await reader.read()
        except ConnectionError:
            self.cut_off = True
        finally:
            writer.close()
            self.done.set()


@asynccontextmanager
async def serving(*pieces: bytes, closes: bool = True) -> AsyncIterator[Server]:
    """Give a server that answers with these pieces."""
    made = Server(pieces, closes=closes)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def ask(server: Server, seconds: float = 5) -> int:
    return await status_of("127.0.0.1", server.port, "/up?deep=1", host="shop.localhost", seconds=seconds)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("pieces", "closes", "status"),
    [
        ((OK + b"Content-Length: 2\r\n\r\nok",), False, 200),
        ((b"HTTP/1.1 4", b"18 I'm a teapot\r", b"\nContent-Length: 2\r\n\r", b"\no", b"k"), False, 418),
        ((b"HTTP/1.0 500 Internal Server Error\r\n\r\nit broke",), True, 500),
        ((b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n",), False, 200),
        ((OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"0\r\n", b"\r\n"), False, 200),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), False, 204),
        ((b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",), False, 304),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"), False, 200),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",), False, 503),
        ((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",), False, 101),
    ],
)
async def test_the_status_is_found_however_it_comes(pieces: tuple[bytes, ...], closes: bool, status: int) -> None:
    async with serving(*pieces, closes=closes) as server:
        assert await ask(server) == status
        head = server.asked.decode().split("\r\n")
        assert head[0] == "GET /up?deep=1 HTTP/1.1"
        assert "Host: shop.localhost" in head


@pytest.mark.parametrize(
    ("pieces", "closes", "words"),
    [
        ((), True, "the connection was closed"),
        ((OK,), True, "it was broken off"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), True, "it is no HTTP"),
        ((b"HTTP/1.1 20 OK\r\n\r\n",), True, "it is no HTTP"),
        ((OK + b"X: " + b"x" * 70_000,), False, "its head does not end"),
        ((OK,), False, "none came within 0.2 s"),
    ],
)
async def test_what_is_no_answer_says_so(pieces: tuple[bytes, ...], closes: bool, words: str) -> None:
    async with serving(*pieces, closes=closes) as server:
        with pytest.raises(NoAnswer) as reason:
            await ask(server, 0.2 if "within" in words else 5)
        assert str(reason.value) == words


async def test_where_nobody_listens_the_words_are_the_systems() -> None:
    async with serving() as server:
        pass
    with pytest.raises(NoAnswer, match=r"refused|Connect call failed"):
        await ask(server)


async def test_a_page_is_read_to_its_end_so_that_the_app_is_not_cut_off() -> None:
    page = b"." * 900_000
    async with serving(OK + b"Content-Length: 900000\r\n\r\n", page) as server:
        assert await ask(server) == 200
        await server.done.wait()
        assert not server.cut_off


async def test_a_page_without_end_is_an_answer_once_the_time_is_over() -> None:
    began = time.monotonic()
    async with serving(OK + b"Content-Type: text/event-stream\r\n\r\ndata: 1\n\n", closes=False) as server:
        assert await ask(server, 2) == 200
    assert time.monotonic() - began < 30


async def test_an_address_of_ipv6_is_asked_as_well() -> None:
    made = Server((OK + b"Content-Length: 0\r\n\r\n",), closes=False)
    server = await asyncio.start_server(made.serve, "::1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await status_of("::1", port, "/", host="shop.localhost", seconds=5) == 200
