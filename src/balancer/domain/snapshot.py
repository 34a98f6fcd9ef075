"""What the registry says should be, as one value.

Used by `routing` (what the proxy should do) and `plan` (what is to be done about the processes).

Invariant: what belongs together is found without a walk through the rest, however many apps there are.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from balancer.domain.app import App, AppName, BranchName
from balancer.domain.release import Instance, Release, ReleaseState
from balancer.domain.split import Split


@dataclass(frozen=True, slots=True)
class AppPart:
    """All that a snapshot has of one app. To compare two is quick where they share what has not changed."""

    app: App
    releases: tuple[Release, ...]
    instances: tuple[tuple[Instance, ...], ...]
    """Those of each release."""
    split: Split | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every app, each running split, each release that is not over, and each instance that is not stopped."""

    apps: tuple[App, ...] = ()
    releases: tuple[Release, ...] = ()
    """Those building, starting, live or draining, and any other that still has instances."""
    instances: tuple[Instance, ...] = ()
    splits: tuple[Split, ...] = ()
    _releases_of: Mapping[AppName, tuple[Release, ...]] = field(init=False, repr=False, compare=False)
    _instances_of: Mapping[int, tuple[Instance, ...]] = field(init=False, repr=False, compare=False)
    _split_of: Mapping[AppName, Split] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        releases: dict[AppName, list[Release]] = defaultdict(list)
        for release in self.releases:
            releases[release.app].append(release)
        instances: dict[int, list[Instance]] = defaultdict(list)
        for instance in self.instances:
            instances[instance.release_id].append(instance)
        object.__setattr__(self, "_releases_of", {app: tuple(found) for app, found in releases.items()})
        object.__setattr__(self, "_instances_of", {number: tuple(found) for number, found in instances.items()})
        # The first of two, as a reader from the beginning would find it.
        object.__setattr__(self, "_split_of", {split.app: split for split in reversed(self.splits)})

    def live(self, app: AppName) -> dict[BranchName, Release]:
        """Return the live release of each branch of `app`."""
        return {release.branch: release for release in self.releases_of(app) if release.state is ReleaseState.LIVE}

    def releases_of(self, app: AppName) -> tuple[Release, ...]:
        """Return the releases of `app` that are not over, oldest first."""
        return self._releases_of.get(app, ())

    def instances_of(self, release: Release) -> tuple[Instance, ...]:
        """Return the instances of `release` that are not stopped, oldest first."""
        return self._instances_of.get(release.id, ())

    def split_of(self, app: AppName) -> Split | None:
        """Return the running split of `app`."""
        return self._split_of.get(app)

    def part(self, app: App) -> AppPart:
        """Return all that there is of one app."""
        releases = self.releases_of(app.name)
        return AppPart(app, releases, tuple(map(self.instances_of, releases)), self.split_of(app.name))
