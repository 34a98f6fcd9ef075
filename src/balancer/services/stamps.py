"""Stamps: since when, in a snapshot, whatever becomes of the clock.

Invariants:
    * What has gone on for so long has, also when the clock is set forward or back meanwhile.
    * A clock that is not set leaves every stamp as it was written.

The registry says when a release went live and since when an instance stands by or drains, by the clock of that moment.
Who measures by these stamps how long it was asks here first. What was stamped before this daemon began, and before the
clock was set, cannot be mended; then the planner is careful (`domain/plan.py`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from balancer.clock import Clock
from balancer.domain.release import Instance, Release
from balancer.domain.snapshot import Snapshot

# 1 s: less is the drift that is corrected all the time, which nobody notices in a drain.
_NOTABLE = timedelta(seconds=1)


class Stamps:
    """Remembers how the clock stood when each stamp was first seen, which is when it was written or soon after."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stood: dict[tuple[type, int, datetime], datetime] = {}
        """Of each stamp in the latest snapshot what time it was at tick 0, by the clock that it was first seen with."""

    def mended(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the stamps that the clock of now would have written."""
        stands = self._clock() - timedelta(seconds=self._clock.ticks())
        seen: dict[tuple[type, int, datetime], datetime] = {}

        def mend(owner: Release | Instance, at: datetime | None) -> datetime | None:
            if at is None:
                return None
            key = (type(owner), owner.id, at)
            seen[key] = self._stood.get(key, stands)
            by = stands - seen[key]
            return at + by if abs(by) >= _NOTABLE else at

        releases = tuple(replace(each, activated_at=mend(each, each.activated_at)) for each in snapshot.releases)
        instances = tuple(
            replace(
                each,
                draining_since=mend(each, each.draining_since),
                standby_since=mend(each, each.standby_since),
            )
            for each in snapshot.instances
        )
        self._stood = seen
        return replace(snapshot, releases=releases, instances=instances)
