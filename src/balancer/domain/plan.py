"""What is to be done so that the processes become what the registry says.

Invariants:
    * Applying a plan brings the observed nearer to the desired; once there, the next plan is empty.
    * No instance that may have requests in flight is stopped before its drain deadline.
    * A release that nobody deploys any more is abandoned, never left half way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot

# 30 s: longer than the proxy's keep-alive timeout, so that no old connection still leads here.
DRAIN_TIMEOUT = timedelta(seconds=30)
# A process that has run this long is taken for well again: the next restart is quick.
STEADY_AFTER = timedelta(seconds=60)
_BACK_OFF_LIMIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a process of an instance that was to run on."""

    at: datetime
    restarts: int
    """How often it was started again before this end without having been steady."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is."""

    now: datetime
    running: frozenset[int] = frozenset()
    """Instances whose process is there."""
    busy: frozenset[int] = frozenset()
    """Draining instances with requests in flight."""
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


Action = StartInstance | StopInstance | MarkStopped | RetireRelease | AbandonRelease


def plan(desired: Snapshot, observed: Observed) -> tuple[Action, ...]:
    """Return what to do now, in order."""
    actions: list[Action] = []
    for release in desired.releases:
        if release.state in _UNFINISHED:
            if release.id in observed.deserted:
                actions.append(AbandonRelease(release))
            continue
        instances = desired.instances_of(release)
        for instance in instances:
            actions += _for_instance(release, instance, observed)
        if release.state is ReleaseState.DRAINING and not instances:
            actions.append(RetireRelease(release))
    return tuple(actions)


def back_off(restarts: int) -> timedelta:
    """Return how long to wait before the next start: 1, 2, 4 … 60 s."""
    return timedelta(seconds=min(2 ** min(restarts, 10), _BACK_OFF_LIMIT_SECONDS))


_UNFINISHED = {ReleaseState.BUILDING, ReleaseState.STARTING}


def _for_instance(release: Release, instance: Instance, observed: Observed) -> list[Action]:
    running = instance.id in observed.running
    if release.state is ReleaseState.LIVE and instance.state is not InstanceState.DRAINING:
        return [] if running or _waits(instance, observed) else [StartInstance(instance, release)]
    if not running:
        return [MarkStopped(instance)]
    if instance.state is InstanceState.DRAINING and not _drained(instance, observed):
        return []
    return [StopInstance(instance)]


def _waits(instance: Instance, observed: Observed) -> bool:
    end = observed.exits.get(instance.id)
    return end is not None and observed.now < end.at + back_off(end.restarts)


def _drained(instance: Instance, observed: Observed) -> bool:
    since = instance.draining_since
    return instance.id not in observed.busy or since is None or observed.now >= since + DRAIN_TIMEOUT
