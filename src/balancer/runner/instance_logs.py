"""What instances print: the end of it, and what comes after.

Invariants:
    * A line is given whole, and once; one beyond 1 MB in pieces.
    * Following ends only when the reader stops reading.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

# 200 ms: a person who follows a log does not notice less.
_PAUSE_SECONDS = 0.2
_READ_LIMIT_BYTES = 1_000_000


async def tail(files: Mapping[str, Path], lines: int) -> AsyncIterator[tuple[str, str]]:
    """Give (name, line) for the last `lines` lines of each file."""
    for name, path in files.items():
        for line in _last_lines(path, lines)[0]:
            yield name, line


async def follow(files: Callable[[], Awaitable[Mapping[str, Path]]], lines: int = 0) -> AsyncIterator[tuple[str, str]]:
    """Give (name, line) for the last `lines` lines of each file, then for every line that is written.

    `files` is asked again for instances that come.
    """
    offsets: dict[Path, int] = {}
    for name, path in (await files()).items():
        found, offsets[path] = _last_lines(path, lines)
        for line in found:
            yield name, line
    while True:
        for name, path in (await files()).items():
            found, offsets[path] = _whole_lines(path, offsets.get(path, 0))
            for line in found:
                yield name, line
        await asyncio.sleep(_PAUSE_SECONDS)


def _whole_lines(path: Path, offset: int) -> tuple[list[str], int]:
    """Return the whole lines after `offset`, and the offset after them."""
    if _size(path) < offset:  # it was cut: it begins again
        offset = 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(_READ_LIMIT_BYTES)
    except OSError:
        return [], offset
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) == _READ_LIMIT_BYTES:
        end = len(chunk)
    lines = chunk[:end].removesuffix(b"\n").split(b"\n") if end else []
    return [line.decode(errors="replace").rstrip("\r") for line in lines], offset + end


def _last_lines(path: Path, count: int) -> tuple[list[str], int]:
    """Return the last whole lines, and the offset after them."""
    start = max(0, _size(path) - _READ_LIMIT_BYTES)
    lines, end = _whole_lines(path, start)
    if start > 0:
        lines = lines[1:]  # the one that begins before what was read
    return (lines[-count:] if count else []), end


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
