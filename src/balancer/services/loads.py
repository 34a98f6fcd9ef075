"""Loads: how much of a processor and of the memory each instance takes, for pages that show it.

Invariants:
    * However many look, the process table is read once in EVERY_SECONDS at most, in a thread.
    * The share of a processor is that between two looks; the first look at an instance tells none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from balancer.clock import Clock
from balancer.domain.usage import Usage

# 1.5 s: below what a page asks in, so that each of its looks is new.
EVERY_SECONDS = 1.5
# 60 s: the mean of a longer time says nothing of the present.
_LATELY_SECONDS = 60.0


class Using(Protocol):
    """What is asked of the supervisor here."""

    def usage(self) -> Mapping[int, Usage]:
        """Return what each running instance uses: seconds on a processor, bytes of memory. Reads /proc: in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one instance takes."""

    cpu: float | None
    """Parts of one processor: 1 is one that does nothing else. None where it was not looked at before."""
    memory_bytes: int


class Loads:
    """Looks at the instances."""

    def __init__(self, supervisor: Using, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._looking = asyncio.Lock()
        """Held while the process table is read: who comes meanwhile takes what that gives."""
        self._at = float("-inf")
        """When it was read last, in ticks."""
        self._used: Mapping[int, Usage] = {}
        self._loads: Mapping[int, Load] = {}

    async def present(self) -> Mapping[int, Load]:
        """Return what each running instance takes, by its id."""
        async with self._looking:
            if self._clock.ticks() - self._at >= EVERY_SECONDS:
                used = await asyncio.to_thread(self._supervisor.usage)
                now = self._clock.ticks()
                self._loads = loads_of(self._used, used, now - self._at)
                self._used, self._at = used, now
        return self._loads


def loads_of(before: Mapping[int, Usage], after: Mapping[int, Usage], seconds: float) -> dict[int, Load]:
    """Return what each instance takes, by two looks so many seconds apart."""
    loads = {}
    for number, used in after.items():
        earlier, cpu = before.get(number), None
        # Less than before: one of its processes has ended, and with it what is known of it; or it is another one now.
        if earlier is not None and 0 < seconds <= _LATELY_SECONDS and used.cpu_seconds >= earlier.cpu_seconds:
            cpu = (used.cpu_seconds - earlier.cpu_seconds) / seconds
        loads[number] = Load(cpu=cpu, memory_bytes=used.memory_bytes)
    return loads
