"""What instances print: the end of it, and what comes after.

Invariants:
    * A line is given whole, and once.
    * Following ends only when the reader stops reading.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path

# 200 ms: a person who follows a log does not notice less.
_PAUSE_SECONDS = 0.2
_READ_LIMIT_BYTES = 1_000_000


async def tail(files: Mapping[str, Path], lines: int) -> AsyncIterator[tuple[str, str]]:
    """Give (name, line) for the last `lines` lines of each file."""
    for name, path in files.items():
        for line in _last_lines(path, lines):
            yield name, line


async def follow(files: Callable[[], Awaitable[Mapping[str, Path]]]) -> AsyncIterator[tuple[str, str]]:
    """Give (name, line) for every line written from now on; `files` is asked again for instances that come."""
    offsets: dict[Path, int] = {path: _size(path) for path in (await files()).values()}
    while True:
        for name, path in (await files()).items():
            for line, offset in _new_lines(path, offsets.get(path, 0)):
                offsets[path] = offset
                yield name, line
        await asyncio.sleep(_PAUSE_SECONDS)


def _new_lines(path: Path, offset: int) -> Iterable[tuple[str, int]]:
    """Return the whole lines after `offset`, each with the offset after it."""
    if _size(path) < offset:  # it was cut: it begins again
        offset = 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(_READ_LIMIT_BYTES)
    except OSError:
        return []
    found = []
    for line in chunk.splitlines(keepends=True):
        if not line.endswith(b"\n") and len(chunk) < _READ_LIMIT_BYTES:
            break
        offset += len(line)
        found.append((line.decode(errors="replace").rstrip("\r\n"), offset))
    return found


def _last_lines(path: Path, count: int) -> list[str]:
    size = _size(path)
    lines = [line for line, _ in _new_lines(path, max(0, size - _READ_LIMIT_BYTES))]
    return lines[-count:] if count else []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
