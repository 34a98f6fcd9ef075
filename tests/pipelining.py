"""A client that sends many requests at once on one connection, and reads their answers as they come."""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TIMEOUT_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# The shortest answer there is: a status, a length of 0 and the empty line.
_LEAST_BYTES = len(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
# 64 KiB: hundreds of answers, less than what the kernel holds for us while we send.
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer; `head` ends before the empty line."""

    head: bytes

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    def first(self, pattern: re.Pattern[bytes]) -> str | None:
        """Return the first group of a pattern in the head; None where it is not there."""
        found = pattern.search(self.head)
        return found[1].decode() if found else None


class Pipeline:
    """One connection at a time; one that the other side ends is opened again with the next requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: socket.socket | None = None

    def ask(self, requests: Sequence[bytes]) -> Iterator[Answered]:
        """Send requests and give their answers in order; fewer, where the connection ends before all came."""
        try:
            connection = self._connection = self._connection or self._open()
            connection.sendall(b"".join(requests))
            yield from self._answers(connection, len(requests))
        except ConnectionError:
            self.close()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_SECONDS)

    def _answers(self, connection: socket.socket, count: int) -> Iterator[Answered]:
        read = b""
        while count:
            # Woken for many answers at once, not for each; what has ended is told at any rate.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count * _LEAST_BYTES)
            piece = connection.recv(_READ_BYTES)
            if not piece:
                raise ConnectionResetError
            read += piece
            start = 0
            while (end := read.find(b"\r\n\r\n", start)) >= 0:
                length = _LENGTH.search(read, start, end)
                stop = end + 4 + (int(length[1]) if length else 0)
                if stop > len(read):
                    break
                yield Answered(read[start:end])
                start, count = stop, count - 1
            read = read[start:]
