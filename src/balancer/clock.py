"""The clock: the time, which may be set while we run, and ticks, which nobody sets.

Invariants:
    * The difference of two ticks is how long it was between them, whatever became of the time.
    * The time is the system's unless BALANCER_CLOCK_OFFSET asks for another.

BALANCER_CLOCK_OFFSET names a file that holds how many seconds the clock is wrong by. It is a file so that a test can
set the clock while the daemon runs, and a variable because a machine has only one clock. For tests alone.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_CHOSEN = os.environ.get("BALANCER_CLOCK_OFFSET")


class Clock(Protocol):
    """The time, aware, in UTC, and ticks."""

    def __call__(self) -> datetime: ...

    def ticks(self) -> float:
        """Return seconds that go on whatever becomes of the time; only their differences mean anything."""


class SystemClock:
    """The clock of the machine."""

    def __call__(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC) + _error()

    def ticks(self) -> float:
        """Return the seconds since the machine was started, also those that it slept."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def _error() -> timedelta:
    if _CHOSEN is None:
        return timedelta()
    try:
        return timedelta(seconds=float(Path(_CHOSEN).read_text()))
    except (OSError, ValueError):  # nobody has set it yet, or somebody just does
        return timedelta()
