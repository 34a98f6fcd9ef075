"""Releases and instances, their states and the transitions that are legal.

Invariants:
    * A release or an instance only ever moves along `RELEASE_MOVES` and `INSTANCE_MOVES`.
    * At most one release of a branch is live (the registry holds this).
    * An instance of a retired or failed release is on its way to stopped.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.manifest import WEB, Manifest, ProcessType
from balancer.errors import IllegalTransition


class ReleaseState(Enum):
    """Where a release is in its life."""

    BUILDING = "building"
    STARTING = "starting"
    LIVE = "live"
    DRAINING = "draining"
    RETIRED = "retired"
    FAILED = "failed"


class InstanceState(Enum):
    """Where an instance is in its life."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STANDBY = "standby"
    """Warm, for a while, in case the release that took its place fails."""
    DRAINING = "draining"
    STOPPED = "stopped"


_R = ReleaseState
RELEASE_MOVES: dict[ReleaseState, frozenset[ReleaseState]] = {
    _R.BUILDING: frozenset({_R.STARTING, _R.FAILED}),
    _R.STARTING: frozenset({_R.LIVE, _R.FAILED, _R.RETIRED}),
    _R.LIVE: frozenset({_R.DRAINING}),
    # Straight back to live: a rollback while all of it is still there. To starting: while only a part of it is.
    _R.DRAINING: frozenset({_R.RETIRED, _R.LIVE, _R.STARTING}),
    # A rollback starts a retired release again.
    _R.RETIRED: frozenset({_R.STARTING}),
    _R.FAILED: frozenset(),
}

_I = InstanceState
INSTANCE_MOVES: dict[InstanceState, frozenset[InstanceState]] = {
    _I.STARTING: frozenset({_I.HEALTHY, _I.UNHEALTHY, _I.DRAINING, _I.STOPPED}),
    _I.HEALTHY: frozenset({_I.UNHEALTHY, _I.STANDBY, _I.DRAINING, _I.STOPPED}),
    _I.UNHEALTHY: frozenset({_I.HEALTHY, _I.DRAINING, _I.STOPPED}),
    _I.STANDBY: frozenset({_I.HEALTHY, _I.DRAINING, _I.STOPPED}),
    _I.DRAINING: frozenset({_I.STOPPED, _I.HEALTHY}),
    _I.STOPPED: frozenset(),
}

LEAVING = frozenset({_I.STANDBY, _I.DRAINING})
"""States of an instance that something else has taken the place of."""


def check_release_move(before: ReleaseState, after: ReleaseState) -> None:
    """Raise IllegalTransition unless a release may go from `before` to `after`."""
    if after not in RELEASE_MOVES[before]:
        raise IllegalTransition(f"a {before.value} release cannot become {after.value}")


def check_instance_move(before: InstanceState, after: InstanceState) -> None:
    """Raise IllegalTransition unless an instance may go from `before` to `after`."""
    if after not in INSTANCE_MOVES[before]:
        raise IllegalTransition(f"a {before.value} instance cannot become {after.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process, told apart from every other that ever had its pid."""

    boot_id: str
    pid: int
    start_ticks: int
    """Clock ticks from boot to the start of the process (field 22 of /proc/PID/stat)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One commit of one branch with its config, built and numbered."""

    id: int
    app: AppName
    branch: BranchName
    number: int
    """Counts 1, 2, 3 … within the app."""
    commit: Commit
    tree: int
    """Number of the release of the app whose build this one runs; its own, unless only config vars differ."""
    state: ReleaseState
    manifest: Manifest | None
    """None until the build has read it."""
    subject: str
    """First line of the commit's message."""
    author: str
    created_at: datetime
    activated_at: datetime | None
    """When it was last made live; None if it never was."""
    reason: str | None
    """Why it failed; None unless it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running process of a release."""

    id: int
    release_id: int
    index: int
    """Counts 1, 2, 3 … within the process type of the release."""
    port: int
    """On which a `web` process answers; leased by the others too, so that every instance has one."""
    state: InstanceState
    process: ProcessId | None
    """None until it was started."""
    draining_since: datetime | None
    """None unless draining."""
    standby_since: datetime | None = None
    """None unless standing by."""
    type: ProcessType = WEB
    host: str = "127.0.0.1"
    """The address that it listens on, as far as we know: `127.0.0.1` or `::1`."""

    @property
    def label(self) -> str:
        """The name of this instance for people, such as `web.1`."""
        return f"{self.type}.{self.index}"

    @property
    def server(self) -> str:
        """The name of this instance in HAProxy and in the edge log, such as `r12-i40`."""
        return f"r{self.release_id}-i{self.id}"
