"""The clock: the time, which may be set while we run, and ticks, which nobody sets.

Invariants:
    * The difference of two ticks is how long it was between them, whatever became of the time.
    * The time is the system's, and so are the ticks, unless BALANCER_CLOCK_OFFSET asks for others.

BALANCER_CLOCK_OFFSET names a file that holds how many seconds the clock is wrong by: the clock was set, and the ticks
are right. A second number, behind a space, is how many seconds have gone by that nobody had to wait for: the ticks are
ahead by it. So `3600` is a clock that was set an hour forward, and `3600 3600` an hour later. It is a file so that a
test can do this while the daemon runs, and a variable because a machine has only one clock. For tests alone: the
second number, too, says nothing but what a longer wait would have.
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
        return datetime.now(UTC) + timedelta(seconds=_asked()[0])

    def ticks(self) -> float:
        """Return the seconds since the machine was started, also those that it slept."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) + _asked()[1]


def _asked() -> tuple[float, float]:
    """Return how many seconds the clock is wrong by, and the ticks are ahead."""
    if _CHOSEN is None:
        return 0.0, 0.0
    try:
        wrong, *ahead = map(float, Path(_CHOSEN).read_text().split())
    except (OSError, ValueError):  # nobody has set it yet, or somebody just does
        return 0.0, 0.0
    return wrong, ahead[0] if ahead else 0.0
