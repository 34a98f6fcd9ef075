"""Which apps somebody should look at: found among all of them, for who has more than a page shows.

Invariant: an app is among them where its page has a reason: an instance that is missing, or a deploy that failed.
"""

from collections.abc import Iterable, Set

from balancer.domain.app import AppMode, AppName
from balancer.domain.release import LEAVING, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot


def unwell(snapshot: Snapshot, running: Set[int], failed: Iterable[Release]) -> frozenset[AppName]:
    """Return the apps that serve and have an instance that does not, and those of the `failed` deploys.

    One that has just been started, because somebody has scaled or restarted its app, is on its way and lacks nothing.
    """
    serving = {app.name for app in snapshot.apps if app.mode is AppMode.SERVING}
    lacking = {
        release.app
        for release in snapshot.releases
        if release.state is ReleaseState.LIVE and release.app in serving and _lacks(snapshot, release, running)
    }
    return frozenset(lacking | {release.app for release in failed})


def _lacks(snapshot: Snapshot, release: Release, running: Set[int]) -> bool:
    return any(
        instance.state is InstanceState.UNHEALTHY or instance.id not in running
        for instance in snapshot.instances_of(release)
        if instance.state not in LEAVING
    )
