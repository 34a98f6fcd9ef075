"""Keeping logs: noting when lines come, and cutting a log that has become long.

Invariants:
    * A log is cut by copying its end and truncating it: whoever writes to it never notices, and needs no pipe to us.
    * Beside a log there is one old one, `web.1.log.1`, with what was cut off last.
    * Whatever dies between two steps, the next look goes on from what is there; at worst lines are there twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path

from balancer import logs
from balancer.runner.log_times import CUTTING, LogTimes, TimeMark

log = logs.named("logs")
# 10 MB: some hundred thousand lines, and a hundred instances with an old log each are 2 GB.
LIMIT_BYTES = 10_000_000
# 200 ms: what a line's time is accurate to, and what a flood at full speed has time to write before it is cut.
_PAUSE_SECONDS = 0.2
# 400 in a look: to ask for the sizes of thousands, each five times a second, takes a tenth of a core. What has grown
# since the look before is looked at each time, the others in turns: 3,000 quiet logs every 1.5 s.
_QUIET_AT_ONCE = 400
# After a cut at once again: where one was needed there is a flood.
_FLOOD_PAUSE_SECONDS = 0.02
# 2: the first brings what came during the copy of the most, the second what came during that.
_CATCHING_UP = 2


class LogKeeper:
    """Looks at all logs that somebody writes to; `files` says which they are."""

    def __init__(self, files: Callable[[], Awaitable[Iterable[Path]]], clock: Callable[[], datetime]) -> None:
        self._files = files
        self._clock = clock
        self._seen: dict[Path, tuple[int, int]] = {}
        """Size at the last look, and the position of the first byte."""
        self._growing: set[Path] = set()
        """Those that had grown at their last look."""
        self._waiting: list[Path] = []
        """Those that are still to be looked at in this turn."""

    async def run(self) -> None:
        """Look again and again; until cancelled."""
        while True:
            cut = False
            try:
                files = await self._files()
                cut = await asyncio.to_thread(self.look, tuple(files))
            except Exception as error:  # noqa: BLE001 - logs must go on being cut, whatever fails once
                log.error("logs.broke", error=error)
            await asyncio.sleep(_FLOOD_PAUSE_SECONDS if cut else _PAUSE_SECONDS)

    def look(self, files: Iterable[Path]) -> bool:
        """Note what has come, cut what is long, and tell whether anything was."""
        there = frozenset(files)
        self._waiting = self._waiting or list(there)
        turn, self._waiting = self._waiting[:_QUIET_AT_ONCE], self._waiting[_QUIET_AT_ONCE:]
        before, growing = self._seen, set()
        seen = {path: before[path] for path in there & before.keys()}
        cut = False
        for path in there & {*turn, *self._growing, *(there - before.keys())}:
            try:
                seen[path], was_cut = self._look(path)
            except FileNotFoundError:
                seen.pop(path, None)
                continue
            except OSError as reason:  # a full disk: the next look may have room
                log.warning("log.not.kept", file=str(path), reason=str(reason))
                seen.pop(path, None)
                continue
            cut = cut or was_cut
            if seen[path] != before.get(path):
                growing.add(path)
        self._seen, self._growing = seen, growing
        return cut

    def _look(self, path: Path) -> tuple[tuple[int, int], bool]:
        size = path.stat().st_size
        before = self._seen.get(path)
        if before and before[0] == size:
            return before, False
        times, now = LogTimes(path), self._clock()
        if before and before[0] < size <= LIMIT_BYTES:  # mostly: something was added
            times.append(TimeMark(before[1] + size, now))
            return (size, before[1]), False
        first, last = _begun(path, times, size, now)
        if size > LIMIT_BYTES:
            return (0, _cut(path, times, first, size, now)), True
        if first.position + size > last.position:
            times.append(TimeMark(first.position + size, now))
        return (size, first.position), False


def _begun(path: Path, times: LogTimes, size: int, now: datetime) -> tuple[TimeMark, TimeMark]:
    """Return the first and the last mark of a log; it begins anew where there are none that fit."""
    first, last = times.first(), times.last()
    if first is None or last is None:
        first = last = TimeMark(0, now)
    elif first.position + size < last.position:  # somebody else has cut it, or we did and died at once
        cut_off = LogTimes(old_of(path)).last()
        first = last = TimeMark(max(last.position, cut_off.position if cut_off else 0), now)
    else:
        return first, last
    times.begin([first])
    return first, last


def old_of(path: Path) -> Path:
    """Return where the end of a log is that was cut off last."""
    return path.with_name(f"{path.name}.1")


def _cut(path: Path, times: LogTimes, first: TimeMark, size: int, now: datetime) -> int:
    """Keep the end of a log as the old one, begin it anew, and return the position at which it does.

    What comes between the last read and the truncation, some microseconds, is lost.
    """
    old = old_of(path)
    fresh = old.with_name(f"{old.name}.new")
    skipped = max(0, size - LIMIT_BYTES)
    begin = first.position + skipped
    with CUTTING, path.open("r+b") as source, fresh.open("wb") as copy:
        source.seek(skipped)
        copy.write(source.read(LIMIT_BYTES))
        LogTimes(old).begin([TimeMark(begin, first.at), *times.after(begin), TimeMark(first.position + size, now)])
        fresh.replace(old)
        for _ in range(_CATCHING_UP):
            if not (late := source.read(LIMIT_BYTES)):
                break
            copy.write(late)
        end = first.position + source.tell()
        source.truncate(0)
        times.begin([TimeMark(end, now)])
    return end
