"""The disk of the data directory: how much room it has, and a word in the log before it is full."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from balancer import logs
from balancer.errors import DiskFull

log = logs.named("disk")
# 256 MB: a build of some size needs that much. `balancer status` has the same bound.
_LOW_BYTES = 256 << 20
# 1 MB: less than that, and git cannot even take a push in. `balancer status` has the same bound.
_PUSH_BYTES = 1 << 20
# 2 s: from then on events may be lost, and to ask costs nothing.
_LOOK_SECONDS = 2.0


async def _to_nobody(free_bytes: int) -> None:
    """Tell nobody."""


class Disk:
    """The disk that a directory is on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._low = self._full = False
        self.on_low: Callable[[int], Awaitable[None]] = _to_nobody
        """Told once how many bytes are left when that is little."""

    @property
    def free_bytes(self) -> int:
        """How much there is left."""
        return shutil.disk_usage(self._directory).free

    def check_room(self) -> None:
        """Raise DiskFull where a push has no room."""
        if self.free_bytes < _PUSH_BYTES:
            raise DiskFull

    async def watch(self) -> None:
        """Say when little is left, and when nothing is, once each; runs until cancelled."""
        while True:
            free = self.free_bytes
            if free < _LOW_BYTES and not self._low:
                log.warning("disk.low", directory=str(self._directory), free_bytes=free)
                await self.on_low(free)
            if free < _PUSH_BYTES and not self._full:
                log.error("disk.full", directory=str(self._directory), free_bytes=free)
            self._low, self._full = free < _LOW_BYTES, free < _PUSH_BYTES
            await asyncio.sleep(_LOOK_SECONDS)
