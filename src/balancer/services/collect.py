"""Collect: what HAProxy has written to the edge log, and what servers sent to the spool, goes into the ledger.

Invariants:
    * The engine keeps the offset together with what was read: each line is in exactly once.
    * Only whole lines are read; a last line that is torn waits until it is completed.
    * The engine also keeps the numbers of the lines, in the same transaction: a line that is missing is counted as lost
      once, when the next one of its worker has come.
    * Nothing stops the queue: a batch that the engine refuses is set aside, and a person is told.
    * A file goes only when a newer one is there, all of it is in, and nobody can write to it any more.
    * The sources take turns: much of one does not hold up another.

Used by the ledger process, which gives it the sources, each with its parser, and an engine.
"""

import contextlib
import ctypes
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from balancer import logs
from balancer.domain.entry import NO_APP, Batch, BatchRefused, Reason
from balancer.errors import LedgerUnavailable

log = logs.named("collect")

# 16,000: a transaction costs 12 ms of CPU whatever is in it. With 5,000 the ledger takes in 85,000 lines a second of a
# core's time, with 16,000 110,000 and 9 MB more memory, and with 20,000 no more (in one process, 200,000 lines).
BATCH_ENTRIES = 16_000
# 4 MiB: about that many lines, and many times the longest that HAProxy writes (16 KiB).
READ_BYTES = 4 << 20
# 1 MiB at a time: freeing is a system call, and only whole blocks are given back.
_FREE_BYTES = 1 << 20
# 60 s: a disk that is full for hours lets a line through now and then, each of which tells of some more.
_TELL_SECONDS = 60.0
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, fallocate(2)

ReadLine = Callable[[bytes, Batch], None]
"""Adds to a batch what one line says; raises nothing."""


class Engine(Protocol):
    """Where entries are kept."""

    def offsets(self) -> Mapping[str, int]:
        """Return up to where each file has been taken in, in bytes."""

    def expected(self) -> Mapping[str, dict[int, int]]:
        """Return the number that the next line will have, of each worker that wrote to a file."""

    def lost(self) -> int:
        """Return how many lines never came."""

    def load(self, batch: Batch, file: str, offset: int) -> None:
        """Take in a batch, and with it that `file` is done up to `offset`, in bytes. Raises BatchRefused."""

    def forget(self, file: str) -> None:
        """Drop what is known of a file that is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One way in: a directory of files, which are read in order of name."""

    directory: Path
    pattern: str
    """Of their names, which no other source shares."""
    read_line: ReadLine
    longest_line_bytes: int = READ_BYTES
    """What is longer is no line."""
    untouched_seconds: float = 0
    """So long nothing must have been written to a file behind which there is a newer one, before it goes."""

    def files(self) -> list[Path]:
        """Return the files that there are."""
        return sorted(self.directory.glob(self.pattern))


def edge_source(directory: Path, read_line: ReadLine) -> Source:
    """Return the edge log as a source."""
    # 25 h: a worker of HAProxy's from before a reload may write for 24 h (`hard-stop-after`).
    return Source(directory=directory, pattern="*.log", read_line=read_line, untouched_seconds=25 * 3600)


class Collector:
    """Reads the files of some sources; one thread collects."""

    def __init__(
        self, *, sources: Sequence[Source], refused: Path, engine: Engine, now: Callable[[], float] = time.time
    ) -> None:
        """Read `sources` into `engine`; what it refuses goes to `refused`; `now` is in seconds."""
        self._sources = tuple(sources)
        self._turns = deque(self._sources)
        """The sources, first the one whose turn it is."""
        self._refused = refused
        self._engine = engine
        self._now = now
        self._offsets: dict[str, int] = {}
        self._expected: dict[str, dict[int, int]] = {}
        self._lost, self._told_lost, self._told_at = 0, 0, 0.0
        self._doubtful = True
        """A load was begun of which we do not know how it ended, or it was never asked; the engine knows."""
        with contextlib.suppress(LedgerUnavailable):  # it is elsewhere and need not be there yet
            self._remember()
            self._told_lost = self._lost
            self._doubtful = False
        self._freed: dict[str, int] = {}
        self._can_free = True

    def collect(self) -> int:
        """Take in one batch, and return how many bytes that was; 0 where there is nothing.

        Raises:
            OSError: a file cannot be read, or what was refused cannot be kept.
            Exception: what the engine raises beside BatchRefused; calling again tries again.
        """
        if self._doubtful:
            self._remember()
            self._doubtful = False
        self._tell_what_is_lost()
        for source in tuple(self._turns):
            self._turns.rotate(-1)
            files = source.files()
            for file in files:
                if taken := self._collect_from(source, file):
                    return taken
            for file in files[:-1]:
                self._remove_if_done(source, file)
        return 0

    def behind_bytes(self) -> int:
        """Return how much is written and not yet taken in. Safe in any thread."""
        files = (file for source in self._sources for file in source.files())
        return sum(max(0, _size(file) - self._offsets.get(file.name, 0)) for file in files)

    def lost(self) -> int:
        """Return how many lines never came. Safe in any thread."""
        return self._lost

    def _remember(self) -> None:
        self._offsets = dict(self._engine.offsets())
        self._expected = dict(self._engine.expected())
        self._lost = self._engine.lost()

    def _tell_what_is_lost(self) -> None:
        if self._lost > self._told_lost and self._now() - self._told_at >= _TELL_SECONDS:
            log.warning("ledger.lines.lost", lines=self._lost - self._told_lost, in_all=self._lost)
            self._told_lost, self._told_at = self._lost, self._now()

    def _collect_from(self, source: Source, file: Path) -> int:
        offset, size = self._offsets.get(file.name, 0), _size(file)
        if size < offset:
            # After a power failure the file may have lost an end that the engine has. To begin again would
            # count twice what is left of it.
            log.error("collect.file_shrunk", file=file.name, offset=offset, size=size)
            self._load(Batch(), file.name, size)
            return 0
        chunk = _read(file, offset, READ_BYTES) if size > offset else b""
        end = chunk.rfind(b"\n") + 1
        if end == 0 and len(chunk) == READ_BYTES < source.longest_line_bytes:
            chunk = _read(file, offset, source.longest_line_bytes)
            end = chunk.rfind(b"\n") + 1
        batch = Batch(expected_before=self._expected.get(file.name, {}))
        if end == 0:
            if len(chunk) < source.longest_line_bytes:
                return 0  # nothing, or a torn last line
            batch.refuse(NO_APP, Reason.NOT_A_LINE)
            done = len(chunk)
        else:
            done = _read_lines(source.read_line, chunk, end, batch)
        try:
            self._load(batch, file.name, offset + done)
        except BatchRefused as error:
            self._set_aside(chunk[:done], batch, file.name, offset, error)
        self._free(file)
        return done

    def _load(self, batch: Batch, file: str, offset: int) -> None:
        self._doubtful = True
        self._engine.load(batch, file, offset)
        self._doubtful = False
        self._offsets[file] = offset
        self._expected.setdefault(file, {}).update(batch.expected)
        self._lost += batch.lost

    def _set_aside(self, lines: bytes, batch: Batch, file: str, offset: int, error: BatchRefused) -> None:
        """Keep the lines of a refused batch in a file of their own, then go on behind them."""
        self._refused.mkdir(parents=True, exist_ok=True)
        kept = self._refused / f"{file}.{offset}"
        with kept.open("wb") as aside:
            aside.write(lines)
            aside.flush()
            os.fsync(aside.fileno())
        log.error("collect.batch_refused", kept=kept, lines=lines.count(b"\n"), error=error)
        rest = Batch(refused=batch.refused, expected=batch.expected, lost=batch.lost)
        for entry in batch.all_entries():
            rest.refuse(entry.app, Reason.SET_ASIDE)
        self._load(rest, file, offset + len(lines))

    def _free(self, file: Path) -> None:
        """Give back the space of what is in, where the filesystem can; offsets stay as they are."""
        done = self._offsets[file.name]
        freed = self._freed.setdefault(file.name, 0)
        if not self._can_free or done - freed < _FREE_BYTES:
            return
        try:
            _punch_hole(file, freed, done - freed)
            self._freed[file.name] = done
        except OSError as error:
            log.warning("collect.cannot_free", file=file.name, reason=str(error))
            self._can_free = False

    def _remove_if_done(self, source: Source, file: Path) -> None:
        """Remove a file of which nothing but a torn end is left, and that nobody writes to any more."""
        about = file.stat()
        if source.untouched_seconds and self._now() - about.st_mtime < source.untouched_seconds:
            return
        if about.st_size > self._offsets.get(file.name, 0):
            torn = Batch()
            torn.refuse(NO_APP, Reason.NOT_A_LINE)
            self._load(torn, file.name, about.st_size)
        file.unlink()
        self._engine.forget(file.name)
        self._offsets.pop(file.name, None)
        self._expected.pop(file.name, None)
        log.info("collect.file_removed", file=file.name, bytes=about.st_size)


def _read_lines(read_line: ReadLine, chunk: bytes, end: int, batch: Batch) -> int:
    """Read the lines of `chunk` before `end` until the batch is full; return where they ended."""
    start = 0
    while start < end and batch.count() < BATCH_ENTRIES:
        stop = chunk.index(b"\n", start)
        read_line(chunk[start:stop], batch)
        start = stop + 1
    return start


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _read(file: Path, offset: int, length: int) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)


def _punch_hole(file: Path, start: int, length: int) -> None:
    """Free the blocks of `length` bytes from `start` on. Raises OSError where the filesystem cannot."""
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, start, length):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(file))
    finally:
        os.close(descriptor)
