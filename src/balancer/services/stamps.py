"""Stamps: since when, in a snapshot, whatever becomes of the clock.

Invariants:
    * What has gone on for so long has, also when the clock is set forward or back meanwhile.
    * A clock that is not set leaves every stamp as it was written.

The registry says when a release went live and since when an instance stands by or drains, by the clock of that moment.
Who measures by these stamps how long it was asks here first. What was stamped before this daemon began, and before the
clock was set, cannot be mended; then the planner is careful (`domain/plan.py`).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import is_
from typing import TypeVar

from balancer.clock import Clock
from balancer.domain.release import Instance, Release
from balancer.domain.snapshot import Snapshot

Owner = TypeVar("Owner", Release, Instance)

# 1 s: less is the drift that is corrected all the time, which nobody notices in a drain.
_NOTABLE = timedelta(seconds=1)
# 10 ms: between reading the clock and the ticks time goes on.
_JITTER = timedelta(milliseconds=10)


class Stamps:
    """Remembers how the clock stood when each stamp was first seen, which is when it was written or soon after."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stood: dict[tuple[type, int, datetime], datetime] = {}
        """Of each stamp in the latest snapshot what time it was at tick 0, by the clock that it was first seen with."""
        self._unmended: _Unmended | None = None

    def mended(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the stamps that the clock of now would have written: the same, where it has them."""
        stands = self._clock() - timedelta(seconds=self._clock.ticks())
        if self._unmended and abs(stands - self._unmended.stands) < _JITTER and self._unmended.has_those_of(snapshot):
            return snapshot
        seen: dict[tuple[type, int, datetime], datetime] = {}

        def mend(owner: Release | Instance, at: datetime | None) -> datetime | None:
            if at is None:
                return None
            key = (type(owner), owner.id, at)
            seen[key] = self._stood.get(key, stands)
            by = stands - seen[key]
            return at + by if abs(by) >= _NOTABLE else at

        releases = tuple(_changed(each, activated_at=mend(each, each.activated_at)) for each in snapshot.releases)
        instances = tuple(
            each
            if each.draining_since is None and each.standby_since is None  # mostly
            else _changed(
                each,
                draining_since=mend(each, each.draining_since),
                standby_since=mend(each, each.standby_since),
            )
            for each in snapshot.instances
        )
        self._stood = seen
        same = all(map(is_, releases, snapshot.releases)) and all(map(is_, instances, snapshot.instances))
        self._unmended = _Unmended(stands, snapshot.releases, snapshot.instances) if same else None
        return snapshot if same else replace(snapshot, releases=releases, instances=instances)


@dataclass(frozen=True, slots=True)
class _Unmended:
    """Releases and instances of which no stamp was to be mended, and how the clock stood then."""

    stands: datetime
    releases: tuple[Release, ...]
    instances: tuple[Instance, ...]

    def has_those_of(self, snapshot: Snapshot) -> bool:
        """Tell whether a snapshot has these, and not merely equal ones: that is quick, however many there are."""
        return self.releases is snapshot.releases and self.instances is snapshot.instances


def _changed(owner: Owner, **stamps: datetime | None) -> Owner:
    """Return a release or an instance with these stamps: itself, where it has them."""
    same = all(getattr(owner, name) == at for name, at in stamps.items())
    return owner if same else replace(owner, **stamps)  # type: ignore[arg-type]
