"""One log, read: what was cut off of it last, then what is there, as one row of lines with their times.

Invariants:
    * A line is given whole, and once; one beyond 1 MB in pieces.
    * A position means the same byte before and after the log was cut.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from balancer.runner.log_keeper import old_of
from balancer.runner.log_times import CUTTING, LogTimes

_READ_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, without its end."""

    at: datetime
    """When it was noticed."""
    text: str


class LogFile:
    """A log that others write to, and that the keeper may cut at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times = LogTimes(path)

    def whole_lines(self, position: int) -> tuple[list[LogLine], int]:
        """Return whole lines after `position`, as many as 1 MB holds, and the position after them."""
        with CUTTING:
            return self._whole_lines(position)

    def last_lines(self, count: int) -> tuple[list[LogLine], int]:
        """Return the last whole lines, and the position after them."""
        with CUTTING:
            start = max(self._old_base(), self._base() + _size(self._path) - _READ_LIMIT_BYTES)
            lines, end = self._whole_lines(start)
        if start > 0:
            lines = lines[1:]  # the one that begins before what was read
        return (lines[-count:] if count else []), end

    def _whole_lines(self, position: int) -> tuple[list[LogLine], int]:
        begin, chunk = self._read(position)
        end = chunk.rfind(b"\n") + 1
        if end == 0 and len(chunk) == _READ_LIMIT_BYTES:
            end = len(chunk)
        if end == 0:
            return [], begin
        return self._timed(begin, chunk[:end].removesuffix(b"\n").split(b"\n")), begin + end

    def _read(self, position: int) -> tuple[int, bytes]:
        """Return the position from which on something is there, and at most 1 MB of it."""
        base = self._base()
        if position >= base:
            if position > base + _size(self._path):  # it was cut by somebody else, or just now
                position = base
            return position, _bytes(self._path, position - base, _READ_LIMIT_BYTES)
        old_base = self._old_base()
        begin = max(position, old_base)
        cut_off = _bytes(old_of(self._path), begin - old_base, min(base - begin, _READ_LIMIT_BYTES))
        return begin, cut_off + _bytes(self._path, 0, _READ_LIMIT_BYTES - len(cut_off))

    def _timed(self, begin: int, lines: list[bytes]) -> list[LogLine]:
        marks = LogTimes(old_of(self._path)).after(begin) if begin < self._base() else []
        marks = sorted({*marks, *self._times.after(begin)}, key=lambda mark: (mark.position, mark.at))
        unnoticed = _written_at(self._path)
        found, following = [], iter(marks)
        mark = next(following, None)
        position = begin
        for line in lines:
            position += len(line) + 1
            while mark is not None and mark.position < position:
                mark = next(following, None)
            text = line.decode(errors="replace").rstrip("\r")
            found.append(LogLine(at=mark.at if mark else unnoticed, text=text))
        return found

    def _base(self) -> int:
        first = self._times.first()
        return first.position if first else 0

    def _old_base(self) -> int:
        first = LogTimes(old_of(self._path)).first()
        return first.position if first else self._base()


def _bytes(path: Path, offset: int, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(count)
    except OSError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _written_at(path: Path) -> datetime:
    """Return when something was written last: the time of lines that nobody has noticed yet."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.now(UTC)
