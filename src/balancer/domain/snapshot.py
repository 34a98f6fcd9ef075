"""What the registry says should be, as one value.

Used by `routing` (what the proxy should do) and `plan` (what is to be done about the processes).
"""

from dataclasses import dataclass

from balancer.domain.app import App, AppName, BranchName
from balancer.domain.release import Instance, Release, ReleaseState
from balancer.domain.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every app, each running split, each release that is not over, and each instance that is not stopped."""

    apps: tuple[App, ...] = ()
    releases: tuple[Release, ...] = ()
    """Those building, starting, live or draining, and any other that still has instances."""
    instances: tuple[Instance, ...] = ()
    splits: tuple[Split, ...] = ()

    def live(self, app: AppName) -> dict[BranchName, Release]:
        """Return the live release of each branch of `app`."""
        return {
            release.branch: release
            for release in self.releases
            if release.app == app and release.state is ReleaseState.LIVE
        }

    def instances_of(self, release: Release) -> tuple[Instance, ...]:
        """Return the instances of `release` that are not stopped, oldest first."""
        return tuple(instance for instance in self.instances if instance.release_id == release.id)

    def split_of(self, app: AppName) -> Split | None:
        """Return the running split of `app`."""
        return next((split for split in self.splits if split.app == app), None)
