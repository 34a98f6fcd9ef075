"""What is to be done so that the processes become what the registry says.

Invariants:
    * Applying a plan brings the observed nearer to the desired; once there, the next plan is empty.
    * No draining instance is stopped before the drain timeout of its release while something is in flight on it, or
      while a connection may still bring it a request.
    * What stands by does so for as long as it is told to, and drains then.
    * A release that nobody deploys any more is abandoned, never left half way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.manifest import DRAIN_TIMEOUT_SECONDS, WEB
from balancer.domain.release import LEAVING, Instance, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot

# 30 s: longer than the proxy's keep-alive timeout (25 s), so that no idle connection is left by then.
LINGERING = timedelta(seconds=30)
# 15 min: so long a page that was open at a switch may ask for files of the release that it came from.
STANDBY = timedelta(minutes=15)
# A process that has run this long is taken for well again: the next restart is quick.
STEADY_AFTER = timedelta(seconds=60)
_BACK_OFF_LIMIT_SECONDS = 60
CRASH_LOOP_ENDS = 5
"""How often in a row an instance ends before somebody is told: half a minute of trying again with back-off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a process of an instance that was to run on."""

    at: datetime
    restarts: int
    """How often it was started again before this end without having been steady."""
    ending: str = ""
    """How it ended, in words."""

    @property
    def ends(self) -> int:
        """How often in a row it has ended without having been steady."""
        return self.restarts + 1

    @property
    def next_start_at(self) -> datetime:
        """When it is to be started again."""
        return self.at + back_off(self.restarts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is."""

    now: datetime
    running: frozenset[int] = frozenset()
    """Instances whose process is there."""
    busy: frozenset[int] = frozenset()
    """Draining instances with something in flight, in whichever worker of the proxy."""
    reachable: frozenset[int] = frozenset()
    """Draining instances that an idle connection of an old worker of the proxy may bring one more request."""
    deserted: frozenset[int] = frozenset()
    """Unfinished releases that a daemon before this one left behind; the others have a deploy that looks after them."""
    exits: Mapping[int, Exit]
    """Instances whose process ended, by id."""


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Start the process of an instance (again)."""

    instance: Instance
    release: Release


@dataclass(frozen=True, slots=True)
class DrainInstance:
    """Let an instance that stands by drain."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class StopInstance:
    """Stop the process of an instance."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class MarkStopped:
    """Note that an instance is over; its port is free."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class RetireRelease:
    """Note that a drained release is over."""

    release: Release


@dataclass(frozen=True, slots=True)
class AbandonRelease:
    """Note that a release will never go live."""

    release: Release


Action = StartInstance | DrainInstance | StopInstance | MarkStopped | RetireRelease | AbandonRelease


def plan(desired: Snapshot, observed: Observed, standby: timedelta = STANDBY) -> tuple[Action, ...]:
    """Return what to do now, in order; what served before a switch stands by for `standby`."""
    actions: list[Action] = []
    for release in desired.releases:
        if release.state is not ReleaseState.LIVE and release.state in _UNFINISHED:
            if release.id in observed.deserted:
                actions.append(AbandonRelease(release))
            continue
        instances = desired.instances_of(release)
        for instance in instances:
            actions += _for_instance(release, instance, observed, standby)
        if release.state is ReleaseState.DRAINING and not instances:
            actions.append(RetireRelease(release))
    return tuple(actions)


def drain_timeout(release: Release) -> timedelta:
    """Return how long what is in flight on an instance that drains may go on."""
    return timedelta(seconds=release.manifest.drain_timeout_seconds if release.manifest else DRAIN_TIMEOUT_SECONDS)


def back_off(restarts: int) -> timedelta:
    """Return how long to wait before the next start: 1, 2, 4 … 60 s."""
    return timedelta(seconds=min(2 ** min(restarts, 10), _BACK_OFF_LIMIT_SECONDS))


_UNFINISHED = {ReleaseState.BUILDING, ReleaseState.STARTING}


def _for_instance(release: Release, instance: Instance, observed: Observed, standby: timedelta) -> list[Action]:
    running = instance.id in observed.running
    if running and instance.state is InstanceState.HEALTHY and release.state is ReleaseState.LIVE:
        return []  # as nearly all are; to look states up in sets is what costs where there are thousands
    if release.state is ReleaseState.LIVE and instance.state is InstanceState.STARTING:
        return []  # it is launched beside those that serve, and whoever does that looks after it
    if release.state is ReleaseState.LIVE and instance.state not in LEAVING:
        return [] if running or _waits(instance, observed) else [StartInstance(instance, release)]
    if not running:
        return [MarkStopped(instance)]
    if instance.state is InstanceState.STANDBY:
        return [] if _stands_by(instance, observed, standby) else [DrainInstance(instance)]
    if instance.state is InstanceState.DRAINING and not _drained(release, instance, observed):
        return []
    return [StopInstance(instance)]


def _waits(instance: Instance, observed: Observed) -> bool:
    end = observed.exits.get(instance.id)
    # What lies in the future was stamped before the clock was set back: it is not waited for.
    return end is not None and end.at <= observed.now < end.next_start_at


def _stands_by(instance: Instance, observed: Observed, standby: timedelta) -> bool:
    since = instance.standby_since
    return since is not None and since <= observed.now < since + standby


def _drained(release: Release, instance: Instance, observed: Observed) -> bool:
    if instance.type != WEB or instance.draining_since is None:
        return True
    lasted = observed.now - instance.draining_since
    if lasted < timedelta():  # the clock was set back
        return instance.id not in observed.busy
    timeout = drain_timeout(release)
    if instance.id in observed.busy and lasted < timeout:
        return False
    return instance.id not in observed.reachable or lasted >= max(timeout, LINGERING)
