"""Probation: a release that has just gone live and dies by itself is not to stay.

Invariants:
    * Only what ended after the switch counts, and only within PROBATION of it.
    * What was asked to end does not count.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.plan import Exit
from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot

# 30 s: as long as the release before is kept warm, so that to go back costs visitors nothing.
PROBATION = timedelta(seconds=30)

# One that is starting was added after the switch, and whoever added it looks after it.
_NOT_SERVING = {InstanceState.STARTING, InstanceState.DRAINING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A release that did not stand its probation, and the instance that ended."""

    release: Release
    instance: Instance
    after: timedelta
    """From the switch to the end."""

    def __str__(self) -> str:
        return f"{self.instance.label} ended by itself {self.after.total_seconds():.1f} s after it went live"


def failures(snapshot: Snapshot, exits: Mapping[int, Exit], now: datetime) -> Iterator[Failure]:
    """Give each live release of which an instance has ended by itself soon after the switch."""
    for release in snapshot.releases:
        if release.state is not ReleaseState.LIVE or release.activated_at is None:
            continue
        until = release.activated_at + PROBATION
        for instance in snapshot.instances_of(release):
            end = exits.get(instance.id)
            serves = instance.state not in _NOT_SERVING
            if end and serves and now <= until and release.activated_at <= end.at <= until:
                yield Failure(release=release, instance=instance, after=end.at - release.activated_at)
                break
