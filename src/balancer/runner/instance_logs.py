"""What instances print, all together: the end of it, and what comes after, in the order of time.

Invariants:
    * A line is given once.
    * Following ends only when the reader stops reading.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from balancer.runner.log_file import LogFile, LogLine

# 200 ms: a person who follows a log does not notice less.
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class NamedLine:
    """A line, and whose it is."""

    at: datetime
    name: str
    text: str


async def tail(files: Mapping[str, Path], lines: int) -> list[NamedLine]:
    """Return the last `lines` lines of all files together, the earliest first."""
    return (await asyncio.to_thread(_ends, files, lines))[0]


async def follow(files: Callable[[], Awaitable[Mapping[str, Path]]], lines: int = 0) -> AsyncIterator[NamedLine]:
    """Give the last `lines` lines of all files together, then every line that is written.

    `files` is asked again for instances that come.
    """
    reader = Reader(files)
    for line in await reader.begin(lines):
        yield line
    while True:
        for line in await reader.news():
            yield line
        await asyncio.sleep(_PAUSE_SECONDS)


class Reader:
    """Reads what is appended, whenever it is asked to."""

    def __init__(self, files: Callable[[], Awaitable[Mapping[str, Path]]]) -> None:
        self._files = files
        self._before: Mapping[str, Path] = {}
        self._positions: dict[Path, int] = {}

    async def begin(self, lines: int) -> list[NamedLine]:
        """Return the last `lines` lines of all files together; what comes after them is news."""
        self._before = await self._files()
        found, self._positions = await asyncio.to_thread(_ends, self._before, lines)
        return found

    async def news(self) -> list[NamedLine]:
        """Return every line that was written since; of a file that is new all of them."""
        now = await self._files()
        everything = {**self._before, **now}  # what is gone has had a last word
        self._before = now
        return await asyncio.to_thread(_news, everything, self._positions)


def _ends(files: Mapping[str, Path], count: int) -> tuple[list[NamedLine], dict[Path, int]]:
    """Return the last lines, and the position in each file after them."""
    found: list[NamedLine] = []
    positions = {}
    for name, path in files.items():
        lines, positions[path] = LogFile(path).last_lines(count)
        found += _named(name, lines)
    return (_in_order(found)[-count:] if count else []), positions


def _news(files: Mapping[str, Path], positions: dict[Path, int]) -> list[NamedLine]:
    """Return what is new in the files, and bring `positions` up to date."""
    found: list[NamedLine] = []
    for name, path in files.items():
        lines, positions[path] = LogFile(path).whole_lines(positions.get(path, 0))
        found += _named(name, lines)
    return _in_order(found)


def _named(name: str, lines: list[LogLine]) -> list[NamedLine]:
    return [NamedLine(at=line.at, name=name, text=line.text) for line in lines]


def _in_order(lines: list[NamedLine]) -> list[NamedLine]:
    return sorted(lines, key=lambda line: line.at)
