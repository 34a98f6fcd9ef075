"""Acceptance: events that a server sends are checked, written down, and only then acknowledged.

Invariants:
    * Who was told of a batch finds it in the ledger, whatever dies afterwards; nothing is ever half in.
    * What is refused of a batch is counted with it.
    * Reading and unpacking are bounded: a body, all bodies together, and what gzip makes of one.

Used by the admin API.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from balancer.clock import Clock
from balancer.domain.app import AppName
from balancer.domain.sent import SentBatch
from balancer.domain.sent_body import Form
from balancer.domain.sent_check import Checked, check
from balancer.errors import BodyTooLarge, BodyUnreadable, SpoolFull
from balancer.services.registry import Registry

# 8 MiB: 10,000 events of 800 bytes; most have 150.
BODY_LIMIT_BYTES = 8 << 20
# 64 MiB: what a body is in memory while others are written; eight of the longest, or 50 of 10,000 events.
HELD_LIMIT_BYTES = 64 << 20
# 4 bodies: so much more is read of one that is too long, because who still sends does not read our answer.
_READ_LIMIT_BYTES = 4 * BODY_LIMIT_BYTES
_GZIP = 31  # zlib's word for a gzip header, with the largest window


class Spool(Protocol):
    """Keeps batches until the ledger has them."""

    async def write(self, batch: SentBatch) -> None:
        """Return when a batch is synced to the disk. Raises SpoolFull."""


class Acceptance:
    """Takes in batches."""

    def __init__(self, registry: Registry, spool: Spool, clock: Clock) -> None:
        self._registry = registry
        self._spool = spool
        self._clock = clock
        # One thread: checking takes a processor, and the loop, which everything else needs, gets its turn beside it.
        self._checking = ThreadPoolExecutor(1, "acceptance")
        self._held_bytes = 0

    async def accept(self, app: AppName, chunks: AsyncIterator[bytes], form: Form, *, gzipped: bool) -> Checked:
        """Return what was made of a batch, when what was accepted of it is written down.

        Raises:
            AppNotFound: there is no such app.
            BodyTooLarge: the body is too long, packed or unpacked, or has too many events.
            BodyUnreadable: it is not what `form` and `gzipped` say.
            SpoolFull: it cannot be written down just now.
        """
        body = bytearray()
        with self._held(body):
            await self._read(chunks, body)
            found = await self._registry.app(app)
            now = int(self._clock().timestamp() * 1000)
            loop = asyncio.get_running_loop()
            checked = await loop.run_in_executor(self._checking, _checked, bytes(body), form, gzipped, now)
            if checked.events or checked.refused:
                refused = Counter(refusal.reason for refusal in checked.refused)
                await self._spool.write(SentBatch(str(found.name), checked.events, dict(refused)))
        return checked

    async def _read(self, chunks: AsyncIterator[bytes], body: bytearray) -> None:
        length, full = 0, False
        async for chunk in chunks:
            length += len(chunk)
            full = full or self._held_bytes + len(chunk) > HELD_LIMIT_BYTES
            if length <= BODY_LIMIT_BYTES and not full:
                body += chunk
                self._held_bytes += len(chunk)
            elif length > _READ_LIMIT_BYTES:
                break
        if length > BODY_LIMIT_BYTES:
            raise _too_long()
        if full:
            raise SpoolFull("too many batches come at once")

    @contextmanager
    def _held(self, body: bytearray) -> Iterator[None]:
        try:
            yield
        finally:
            self._held_bytes -= len(body)


def _checked(body: bytes, form: Form, gzipped: bool, now: int) -> Checked:
    return check(_unpacked(body) if gzipped else body, form, now)


def _unpacked(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        text = unpacking.decompress(body, BODY_LIMIT_BYTES + 1)
    except zlib.error as reason:
        raise BodyUnreadable(f"the body is not gzip, as its Content-Encoding says ({reason})") from reason
    if len(text) > BODY_LIMIT_BYTES:
        raise _too_long()
    if not unpacking.eof or unpacking.unused_data:
        raise BodyUnreadable("the body is cut off, or has something behind its gzip; send it whole")
    return text


def _too_long() -> BodyTooLarge:
    return BodyTooLarge(
        f"the batch has more than {BODY_LIMIT_BYTES >> 20} MiB, as it was sent or unpacked; send fewer events in one"
    )
