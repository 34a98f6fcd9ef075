"""Which apps lack something that serves: found among all of them, for who has more than a page shows.

Invariant: an app is among them where its page has the reason: an instance that is gone, or found to be unhealthy.
"""

from collections.abc import Set

from balancer.domain.app import AppMode, AppName
from balancer.domain.release import LEAVING, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot


def lacking(snapshot: Snapshot, running: Set[int]) -> frozenset[AppName]:
    """Return the apps that serve and have an instance that does not.

    One that has just been started, because somebody has scaled or restarted its app, is on its way and lacks nothing.
    """
    serving = {app.name for app in snapshot.apps if app.mode is AppMode.SERVING}
    return frozenset(
        release.app
        for release in snapshot.releases
        if release.state is ReleaseState.LIVE and release.app in serving and _lacks(snapshot, release, running)
    )


def _lacks(snapshot: Snapshot, release: Release, running: Set[int]) -> bool:
    return any(
        instance.state is InstanceState.UNHEALTHY or instance.id not in running
        for instance in snapshot.instances_of(release)
        if instance.state not in LEAVING
    )
