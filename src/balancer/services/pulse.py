"""The pulse: how many visitors are counted and how many events come a second, by app and branch, as they happen.

Invariants:
    * The edge log is read while somebody looks, and only what was appended since the look before.
    * A look reads a bounded part; where more was written that time is a gap, and nothing is made up.
    * It changes nothing: the ledger reads the same files for itself.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from balancer.clock import Clock
from balancer.domain.entry import ERROR, EXPOSURE, Batch
from balancer.services.collect import ReadLine

# 1.8 s: below what a page asks in, so that each of its looks is new; others meanwhile take what that gave.
_EVERY_SECONDS = 1.8
# 30 s: whoever begins to look again sees the present, not the mean of the night.
_LATELY_SECONDS = 30.0
# 2 MB: 6,000 lines, which take some 50 ms to read; a second of more visitors than one HAProxy has.
_LOOK_LIMIT_BYTES = 2_000_000
# 5: the last ten seconds.
_PRESENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What came a second, of one branch in a split."""

    visitors: float = 0.0
    """Visitors who were counted for the first time in the split."""
    events: float = 0.0
    """Events of theirs, as pages and the app have sent them."""


class Pulse:
    """Follows the edge log."""

    def __init__(self, directory: Path, read_line: ReadLine, clock: Clock) -> None:
        self._directory = directory
        self._read_line = read_line
        self._clock = clock
        self._looking = asyncio.Lock()
        """Held while the files are read."""
        self._at = float("-inf")
        """When they were read last, in ticks."""
        self._positions: dict[Path, int] = {}
        self._beats: deque[Mapping[tuple[str, str], Beat]] = deque(maxlen=_PRESENT)

    async def present(self) -> Mapping[tuple[str, str], Beat] | None:
        """Return what came in the last seconds by app and slug of the branch; None where that is not known yet."""
        async with self._looking:
            seconds = self._clock.ticks() - self._at
            if seconds >= _EVERY_SECONDS:
                begins = seconds > _LATELY_SECONDS
                if begins:
                    self._beats.clear()
                    self._positions = await asyncio.to_thread(self._ends)
                elif (batch := await asyncio.to_thread(self._appended)) is None:
                    self._beats.clear()
                else:
                    self._beats.append(beats_of(batch, seconds))
                self._at = self._clock.ticks()
        return _mean(self._beats)

    def _ends(self) -> dict[Path, int]:
        return {file: _size(file) for file in self._directory.glob("*.log")}

    def _appended(self) -> Batch | None:
        """Return what was appended since the last look; None where that is too much."""
        ends = self._ends()
        if sum(max(0, end - self._positions.get(file, 0)) for file, end in ends.items()) > _LOOK_LIMIT_BYTES:
            self._positions = ends
            return None
        batch = Batch()
        for file in sorted(ends):
            position = self._positions.get(file, 0)
            chunk = _bytes_after(file, position)
            whole = chunk.rfind(b"\n") + 1
            for line in chunk[:whole].splitlines():
                if line.strip(b"\0"):
                    self._read_line(line, batch)
            self._positions[file] = position + whole
        self._positions = {file: position for file, position in self._positions.items() if file in ends}
        return batch


def beats_of(batch: Batch, seconds: float) -> dict[tuple[str, str], Beat]:
    """Return what the lines of so many seconds say."""
    visitors: Counter[tuple[str, str]] = Counter()
    events: Counter[tuple[str, str]] = Counter()
    for entry in batch.entries:
        branch = (entry.app, entry.variant)
        if entry.name == EXPOSURE:
            visitors[branch] += 1
        elif entry.name != ERROR:
            events[branch] += 1
    return {
        branch: Beat(visitors=visitors[branch] / seconds, events=events[branch] / seconds)
        for branch in visitors.keys() | events.keys()
    }


def _mean(beats: deque[Mapping[tuple[str, str], Beat]]) -> dict[tuple[str, str], Beat] | None:
    if not beats:
        return None
    nothing = Beat()
    return {
        branch: Beat(
            visitors=sum(each.get(branch, nothing).visitors for each in beats) / len(beats),
            events=sum(each.get(branch, nothing).events for each in beats) / len(beats),
        )
        for branch in {branch for each in beats for branch in each}
    }


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # the ledger has it, and has removed it
        return 0


def _bytes_after(file: Path, position: int) -> bytes:
    try:
        with file.open("rb") as lines:
            lines.seek(position)
            return lines.read(_LOOK_LIMIT_BYTES)
    except OSError:
        return b""
