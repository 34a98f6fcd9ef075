"""The spool: events that servers sent, on the disk before they are acknowledged, until the ledger has them.

Invariants:
    * What `write` returned from is synced to the disk; what it raised from was not acknowledged.
    * A line is written whole or cut off again; after a crash the torn end of the newest segment is cut off.
    * Nobody writes to a segment behind which there is a newer one, nor to one of a daemon before: the ledger may have
      read what a power failure has taken from it.
    * What waits is bounded, in memory and on the disk; beyond that, SpoolFull at once.

Segments are `000001.ndjson` and so on. A thread of its own writes, and syncs once for all that came meanwhile: so a
line waits for two syncs at most, and for no clock. Used by `services/acceptance.py`, as its `Spool`.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.sent import SentBatch
from balancer.errors import SpoolFull
from balancer.store.spool_lines import SUFFIX, line_of

log = logs.named("spool")

# 64 MiB: a new file every few seconds at the most that we take in, and one that was read goes.
SEGMENT_BYTES = 64 << 20
# 1 GiB: some ten million events, which the ledger takes in within two minutes.
KEPT_BYTES = 1 << 30
# 16 MiB: two of the longest batches. The rest is for the edge log, whose lines nobody can be told to send again.
LEAST_FREE_BYTES = 16 << 20
# 64 MiB: what comes within some seconds of a disk that does not keep up.
WAITING_BYTES = 64 << 20

_Waiting = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Spool:
    """The segments below one directory; of one process, which writes from any of its event loops."""

    def __init__(
        self,
        directory: Path,
        *,
        free_bytes: Callable[[], int],
        segment_bytes: int = SEGMENT_BYTES,
        kept_bytes: int = KEPT_BYTES,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        """Write below `directory`; `free_bytes` tells how much room its disk has."""
        self._directory = directory
        self._free_bytes = free_bytes
        self._segment_bytes = segment_bytes
        self._kept_bytes = kept_bytes
        self._waiting_limit_bytes = waiting_bytes
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        """Guards `_waiting`, `_waiting_bytes`, `_closed` and `_thread`."""
        self._thread: threading.Thread | None = None
        self._segment: int | None = None
        """The descriptor of the segment that is written to, of the thread alone, as is all below."""
        self._size = 0
        self._full = False

    async def write(self, batch: SentBatch) -> None:
        """Return when a batch is synced to the disk.

        Raises:
            SpoolFull: there is no room, or the disk failed; only then it may have been written all the same.
        """
        line = line_of(batch)
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        with self._changed:
            if self._closed:
                raise SpoolFull("the platform is ending")
            if self._waiting_bytes + len(line) > self._waiting_limit_bytes:
                raise SpoolFull("the disk does not keep up")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
                self._thread.start()
            self._waiting.append((line, loop, written))
            self._waiting_bytes += len(line)
            self._changed.notify()
        await written

    def close(self) -> None:
        """Write what waits, and write nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._close_segment()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                batches, self._waiting = self._waiting, []
            failures = self._commit([line for line, _, _ in batches])
            with self._changed:
                self._waiting_bytes -= sum(len(line) for line, _, _ in batches)
            for (_, loop, written), failure in zip(batches, failures, strict=True):
                with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                    loop.call_soon_threadsafe(_tell, written, failure)

    def _commit(self, lines: list[bytes]) -> list[BaseException | None]:
        """Write and sync lines; return what each of them failed with."""
        try:
            self._check()
            segment = self._open()
            written, failure = self._append(segment, lines)
            if written:
                passed(CrashPoint.EVENTS_WRITTEN)
                os.fdatasync(segment)
                passed(CrashPoint.EVENTS_SYNCED)
        except Exception as reason:  # noqa: BLE001 # whatever it is, who waits is told, and the next are tried
            # What a failed sync has left is unknown: the next lines go to another segment.
            self._close_segment()
            written, failure = 0, reason
        if isinstance(failure, OSError):
            failure = SpoolFull(f"the disk took none of it ({failure.strerror})")
        self._say(failure)
        return [None] * written + [failure] * (len(lines) - written)

    def _check(self) -> None:
        """Raise SpoolFull where there is no room."""
        if (free := self._free_bytes()) < LEAST_FREE_BYTES:
            raise SpoolFull(f"the disk of the data directory has {free >> 20} MiB left")
        if (kept := sum(map(_kept, self._segments()))) > self._kept_bytes:
            raise SpoolFull(f"{kept >> 20} MiB of them wait for the ledger")

    def _append(self, segment: int, lines: list[bytes]) -> tuple[int, BaseException | None]:
        """Write lines, and return how many are whole, and why the others are not there."""
        rest = memoryview(b"".join(lines))
        end, failure = self._size, None
        while rest and failure is None:
            try:
                count = os.write(segment, rest)
                end, rest = end + count, rest[count:]
            except OSError as reason:
                failure = reason
        whole = 0
        for line in lines:
            if self._size + len(line) > end:
                break
            self._size += len(line)
            whole += 1
        if end > self._size:
            os.ftruncate(segment, self._size)
        return whole, failure

    def _open(self) -> int:
        """Return the segment to write to; a new one where that is full, or where we have none yet."""
        if self._segment is not None and self._size >= self._segment_bytes:
            self._close_segment()
        if self._segment is None:
            segments = self._segments()
            if segments:
                _cut_torn_end(segments[-1])
            number = int(segments[-1].stem) + 1 if segments else 1
            path = self._directory / f"{number:06}{SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._segment, self._size = os.open(path, flags, 0o600), 0
            _sync_directory(self._directory)
        return self._segment

    def _close_segment(self) -> None:
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())

    def _say(self, failure: BaseException | None) -> None:
        """Say in the log when we begin to refuse, and when we take in again."""
        if failure is not None and not isinstance(failure, SpoolFull):
            log.error("spool.failed", error=failure)
        elif failure is not None and not self._full:
            log.warning("spool.full", reason=str(failure))
        elif failure is None and self._full:
            log.info("spool.takes_in")
        self._full = failure is not None


def _tell(written: "asyncio.Future[None]", failure: BaseException | None) -> None:
    if written.done():
        return  # who waited has gone away
    if failure is None:
        written.set_result(None)
    else:
        written.set_exception(failure)


def _kept(segment: Path) -> int:
    """Return how many bytes of the disk a segment takes; what the ledger has read is given back."""
    try:
        about = segment.stat()
    except FileNotFoundError:
        return 0
    return min(about.st_size, about.st_blocks * 512)


def _cut_torn_end(segment: Path) -> None:
    """Cut off what a daemon that was killed had not written to its end: nobody was told of it."""
    with contextlib.suppress(FileNotFoundError), segment.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        whole = next((place for place in _ends_of_lines(file.fileno(), size)), 0)
        if whole < size:
            file.truncate(whole)
            log.warning("spool.torn", file=segment.name, bytes=size - whole)


def _ends_of_lines(descriptor: int, size: int) -> Iterator[int]:
    """Give the ends of lines, the last one first, as found in pieces of 1 MiB."""
    stop = size
    while stop > 0:
        start = max(0, stop - (1 << 20))
        found = os.pread(descriptor, stop - start, start).rfind(b"\n")
        if found >= 0:
            yield start + found + 1
        stop = start


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
