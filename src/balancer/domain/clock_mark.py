"""Clock marks: what the clock on the wall and the ticks showed together, so that a clock that is set is noticed.

Invariants:
    * Where the clock and the ticks have not gone on alike since the mark, the clock is in doubt for a while.
    * After a restart of the machine its ticks begin anew: what was in doubt is so for the whole while again, and what
      was not is believed.
"""

from dataclasses import dataclass
from datetime import datetime

# 3 s: a clock that is kept right is slewed by half a millisecond a second, and ticks are slewed with it.
_DISAGREEMENT_SECONDS = 3.0
# 35 minutes: what keeps the clocks of machines right asks again after at most 2,048 s, and mends what was set wrong.
DOUBT_SECONDS = 2_100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMark:
    """One look at both."""

    wall: datetime
    ticks: float
    doubted_since: float | None = None
    """Ticks at which it was noticed last that the clock was set."""

    @property
    def doubtful(self) -> bool:
        """Whether the clock was set not long ago."""
        return self.doubted_since is not None and self.ticks - self.doubted_since < DOUBT_SECONDS

    def set_by(self, wall: datetime, ticks: float) -> float:
        """Return by how many seconds the clock was set since then; 0 where that is not to be told, or was little."""
        if ticks < self.ticks:
            return 0.0
        by = (wall - self.wall).total_seconds() - (ticks - self.ticks)
        return by if abs(by) > _DISAGREEMENT_SECONDS else 0.0

    def at(self, wall: datetime, ticks: float) -> "ClockMark":
        """Return the mark of a later look."""
        began = self.doubted_since
        if self.set_by(wall, ticks) or (ticks < self.ticks and self.doubtful):
            began = ticks
        elif ticks < self.ticks:
            began = None
        return ClockMark(wall=wall, ticks=ticks, doubted_since=began)
