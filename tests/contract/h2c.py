"""A client that speaks HTTP/2 from the first byte, without TLS, and sends what it is told to."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.events

DEADLINE_SECONDS = 60


@dataclass(slots=True)
class Stream:
    """What has come on one stream."""

    status: int = 0
    headers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None
    """The code of the error that the other side broke the stream off with."""


class H2Client:
    """One connection with many streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        # What an attacker would send must not be stopped by our own side.
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = defaultdict(Stream)
        self.gone: int | None = None
        """The code of the error that the other side ended the connection with."""

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Return a client that has sent its preface and settings."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client._h2.initiate_connection()
        await client._flush()
        return client

    async def request(
        self, method: str, path: str | None, host: str, *headers: tuple[str, str], end: bool = True, protocol: str = ""
    ) -> int:
        """Send the head of a request and return its stream; `end` if there is no body, no path for a tunnel."""
        number = self._h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":authority", host)]
        if path is not None:
            pseudo += [(":scheme", "http"), (":path", path)]
        if protocol:
            pseudo.append((":protocol", protocol))
        self._h2.send_headers(number, [*pseudo, *headers], end_stream=end)
        await self._flush()
        return number

    async def send(self, stream: int, data: bytes, *, end: bool = True) -> None:
        """Send a part of a body."""
        self._h2.send_data(stream, data, end_stream=end)
        await self._flush()

    async def trailers(self, stream: int, *headers: tuple[str, str]) -> None:
        """End a body with trailers."""
        self._h2.send_headers(stream, list(headers), end_stream=True)
        await self._flush()

    async def reset(self, stream: int) -> None:
        """Break a stream off."""
        self._h2.reset_stream(stream)
        await self._flush()

    async def answer(self, stream: int) -> Stream:
        """Return the answer once it is whole, or broken off."""
        found = self.streams[stream]
        while not (found.ended or found.reset is not None or self.gone is not None):
            assert await self.more(), "the connection was closed"
        return found

    async def more(self) -> bool:
        """Take in what comes next; return whether there may be more."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            data = await self._reader.read(65_536)
        for event in self._h2.receive_data(data):
            self._take(event)
        await self._flush()
        return bool(data)

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                stream = self.streams[event.stream_id]
                for name, value in ((str(name), str(value)) for name, value in event.headers):
                    if name == ":status":
                        stream.status = int(value)
                    else:
                        stream.headers[name].append(value)
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.streams[event.stream_id].trailers |= {str(name): str(value) for name, value in event.headers}
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = int(event.error_code or 0)
            case h2.events.ConnectionTerminated():
                self.gone = int(event.error_code or 0)

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
