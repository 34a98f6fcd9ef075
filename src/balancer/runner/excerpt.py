"""What is told and kept of a command's output: its first lines as they come, and its last ones.

Invariants:
    * However much is printed, what is told has a bound; a line says how much was left out.
    * Lines are told in their order.
"""

import re
from collections.abc import Callable

Tell = Callable[[str], None]
# 10,000 lines, 1 MB: hardly a build that does not loop prints more, and nobody reads more.
_HEAD_LINES, _HEAD_BYTES = 10_000, 1_000_000
# 200 lines: an error of a compiler with what led to it.
_TAIL_LINES, _TAIL_BYTES = 200, 65_536
# 64 kB without an end of line is told as a line.
_LINE_BYTES = 65_536
_MEMORY = re.compile(rb"MemoryError|[Oo]ut of memory|Cannot allocate memory|bad_alloc|ENOMEM|memory allocation of \d+")


class Excerpt:
    """The excerpt of one command's output."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lines_left = _HEAD_LINES
        self._bytes_left = _HEAD_BYTES
        self._rest = b""
        """What has not been told: less than a line, or once lines are left out, the last of the output."""
        self._left_out = 0
        self.lacks_memory = False
        """Whether it says that memory ran out."""

    @property
    def is_full(self) -> bool:
        """Whether lines are left out from here on."""
        return self._lines_left <= 0 or self._bytes_left <= 0

    def add(self, chunk: bytes) -> None:
        """Take what the command printed."""
        self._rest += chunk
        while not self.is_full:
            line, end, rest = self._rest[:_LINE_BYTES].partition(b"\n")
            if not end and len(line) < _LINE_BYTES:
                return
            self._rest = rest + self._rest[_LINE_BYTES:]
            self._say(line)
        if len(self._rest) > 2 * _TAIL_BYTES:
            self._left_out += self._rest[:-_TAIL_BYTES].count(b"\n")
            self._rest = self._rest[-_TAIL_BYTES:]

    def end(self) -> None:
        """Tell what is left."""
        lines = self._rest.removesuffix(b"\n").split(b"\n") if self._rest else []
        self._rest = b""
        left_out = self._left_out + max(len(lines) - _TAIL_LINES, 0)
        if left_out:
            self._tell(f"       … {left_out} lines left out …")
        for line in lines[-_TAIL_LINES:]:
            self._say(line)

    def _say(self, line: bytes) -> None:
        self._lines_left -= 1
        self._bytes_left -= len(line)
        self.lacks_memory |= _MEMORY.search(line) is not None
        self._tell("       " + line.decode(errors="replace").rstrip("\r"))
