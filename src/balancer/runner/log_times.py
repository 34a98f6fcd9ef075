"""When the lines of a log were noticed: a sparse index beside the log, `web.1.log.times` for `web.1.log`.

Invariants:
    * A position counts all bytes that were ever noticed in the log, also those that were cut off: it never goes back.
    * The first mark is the position of the log's first byte; each mark says when all before it had been noticed.
    * A mark is 16 bytes, appended whole; a torn one at the end is not there.

Written by `log_keeper`, read by `log_file`.
"""

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CUTTING = threading.Lock()
"""Held while a log is cut, and while one is read: between the cut and the new marks a position means nothing."""
_MARK = struct.Struct("<qq")
# 1024 marks at a time, from the end: whoever follows a log needs the last few.
_BLOCK_BYTES = 1024 * _MARK.size


@dataclass(frozen=True, slots=True)
class TimeMark:
    """All bytes before `position` had been noticed at `at`."""

    position: int
    at: datetime


class LogTimes:
    """The marks of one log."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_name(f"{log.name}.times")

    def first(self) -> TimeMark | None:
        """Return the mark of the log's first byte; None while nobody has looked at the log."""
        return next(self._read(0, 1), None)

    def last(self) -> TimeMark | None:
        """Return the latest mark."""
        return next(self._read(max(0, self._count() - 1), 1), None)

    def after(self, position: int) -> list[TimeMark]:
        """Return the marks after `position`, the earliest first."""
        found: list[TimeMark] = []
        end = self._count()
        while end > 0:
            begin = max(0, end - _BLOCK_BYTES // _MARK.size)
            block = list(self._read(begin, end - begin))
            found = [mark for mark in block if mark.position > position] + found
            if not block or block[0].position <= position:
                break
            end = begin
        return found

    def append(self, mark: TimeMark) -> None:
        """Add a mark."""
        whole = self._count() * _MARK.size
        with self.path.open("ab") as file:
            if file.tell() != whole:
                file.truncate(whole)
            file.write(_packed(mark))

    def begin(self, marks: list[TimeMark]) -> None:
        """Replace all marks."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.write_bytes(b"".join(map(_packed, marks)))
        fresh.replace(self.path)

    def _count(self) -> int:
        try:
            return self.path.stat().st_size // _MARK.size
        except OSError:
            return 0

    def _read(self, begin: int, count: int) -> Iterator[TimeMark]:
        try:
            with self.path.open("rb") as file:
                file.seek(begin * _MARK.size)
                text = file.read(count * _MARK.size)
        except OSError:
            return
        for position, milliseconds in _MARK.iter_unpack(text[: len(text) // _MARK.size * _MARK.size]):
            yield TimeMark(position, datetime.fromtimestamp(milliseconds / 1000, UTC))


def _packed(mark: TimeMark) -> bytes:
    return _MARK.pack(mark.position, round(mark.at.timestamp() * 1000))
