"""One plain HTTP request, and the status that comes back: all that a health check needs, at little cost.

An HTTP client of a library takes 4 ms of processor time for each, and thousands of instances are asked all the time.

Invariants:
    * An answer is read to its end, as far as that comes in time: an app is not cut off in what it says.
    * The request ends within its time, whatever the other side does.
"""

import asyncio
import re
import socket

# 64 KB: the head of an answer that is longer is none that a browser would take.
_HEAD_LIMIT_BYTES = 65_536
# 1 MB of a page, and nobody is interested in the rest.
_BODY_LIMIT_BYTES = 1_048_576
_END_OF_HEAD = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_BODILESS = {204, 304}
_SWITCHING_PROTOCOLS = 101


class NoAnswer(Exception):
    """What was asked did not answer; the message says how, in a few words."""


async def status_of(address: str, port: int, path: str, *, host: str, seconds: float) -> int:
    """Return the status with which `address` answers a GET of `path` for `host`, within `seconds`. Raises NoAnswer."""
    loop = asyncio.get_running_loop()
    status = None
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(connection, (address, port))
                await loop.sock_sendall(connection, _request(path, host))
                status, rest, left = await _head(loop, connection)
                await _body(loop, connection, rest, left)
    except TimeoutError:
        if status is None:
            raise NoAnswer(f"none came within {seconds:g} s") from None
    except OSError as reason:
        if status is None:
            raise NoAnswer(reason.strerror or type(reason).__name__) from reason
    assert status is not None
    return status


def _request(path: str, host: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: balancer-health", "Accept: */*", "Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()


async def _head(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> tuple[int, bytes, int | None]:
    """Return the status, what came after the head already, and how much the body has; None: to the end."""
    come = b""
    while True:
        end = come.find(_END_OF_HEAD)
        if end < 0:
            if len(come) > _HEAD_LIMIT_BYTES:
                raise NoAnswer("its head does not end")
            more = await loop.sock_recv(connection, 65_536)
            if not more:
                raise NoAnswer("the connection was closed" if not come else "it was broken off")
            come += more
            continue
        head, come = come[: end + 2], come[end + len(_END_OF_HEAD) :]
        found = _STATUS.match(head)
        if not found:
            raise NoAnswer("it is no HTTP")
        status = int(found[1])
        if status >= 200 or status == _SWITCHING_PROTOCOLS:  # what is below comes before the answer
            return status, come, _length(status, head)


def _length(status: int, head: bytes) -> int | None:
    if status in _BODILESS or status == _SWITCHING_PROTOCOLS:
        return 0
    found = None if _CHUNKED.search(head) else _LENGTH.search(head)
    return int(found[1]) if found else None


async def _body(loop: asyncio.AbstractEventLoop, connection: socket.socket, come: bytes, length: int | None) -> None:
    """Read the body to its end, or until it is too long: `length` bytes, else to the last chunk or the close."""
    wanted = _BODY_LIMIT_BYTES if length is None else min(length, _BODY_LIMIT_BYTES)
    had, tail = len(come), come
    while had < wanted and not (length is None and tail.endswith(_LAST_CHUNK)):
        more = await loop.sock_recv(connection, 65_536)
        if not more:
            return
        had, tail = had + len(more), (tail + more)[-len(_LAST_CHUNK) :]
