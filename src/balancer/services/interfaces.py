"""What the stories need of the world, as Protocols; `daemon` gives them the real ones.

Each method names the errors that a caller can act on. What a method does is wholly done or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import Protocol

from balancer.domain.app import App, AppName, BranchName, Commit, Manifest
from balancer.domain.plan import Exit
from balancer.domain.release import Instance, InstanceState, ProcessId, Release
from balancer.domain.routing import RouteTable
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Split
from balancer.stats.tally import Intake, SplitTally

Tell = Callable[[str], None]
"""Says one line to whoever waits for a deploy."""


class Clock(Protocol):
    """The time, aware, in UTC."""

    def __call__(self) -> datetime: ...


class Registry(Protocol):
    """The truth about apps, releases, instances and splits."""

    async def create_app(self, name: AppName, default_branch: BranchName | None) -> App:
        """Add an app. Raises AppExists."""

    async def apps(self) -> tuple[App, ...]:
        """Return every app, by name."""

    async def app(self, name: AppName) -> App:
        """Return one app. Raises AppNotFound."""

    async def config(self, app: AppName) -> dict[str, str]:
        """Return the config vars that the app's next release will have. Raises AppNotFound."""

    async def set_config(self, app: AppName, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Set the config vars in `changes`, remove those that are None there, and return all. Raises AppNotFound."""

    async def open_release(
        self, app: AppName, branch: BranchName, commit: Commit, *, subject: str, author: str
    ) -> Release:
        """Add a building release with the next number and the app's config of now. Raises AppNotFound."""

    async def release_config(self, release_id: int) -> dict[str, str]:
        """Return the config vars of a release."""

    async def start_release(self, release_id: int, manifest: Manifest) -> Release:
        """Move a building or retired release to starting, with its manifest. Raises IllegalTransition."""

    async def activate(self, release_id: int) -> Release:
        """Make a release live and the one before it on its branch draining, with its instances.

        The first branch of an app to go live becomes its default branch; the domains of a default branch's manifest
        become the app's. Raises DomainTaken, IllegalTransition; then nothing has changed.
        """

    async def fail_release(self, release_id: int, reason: str) -> Release:
        """Move a release that did not go live to failed (to retired, if it was live once)."""

    async def retire_release(self, release_id: int) -> Release:
        """Move a draining release to retired."""

    async def releases(self, app: AppName, limit: int = 50) -> tuple[Release, ...]:
        """Return the app's releases, newest first. Raises AppNotFound."""

    async def release_before(self, app: AppName, branch: BranchName) -> Release:
        """Return the release that was live on the branch before the one that is. Raises ReleaseNotFound."""

    async def open_instance(self, release_id: int, index: int, port: int) -> Instance:
        """Add a starting instance that holds `port`."""

    async def leased_ports(self) -> frozenset[int]:
        """Return the ports of all instances that are not stopped."""

    async def record_process(self, instance_id: int, process: ProcessId) -> None:
        """Note the process that an instance now is."""

    async def move_instance(self, instance_id: int, state: InstanceState) -> None:
        """Move an instance to another state; to the one it is in does nothing. Raises IllegalTransition."""

    async def snapshot(self) -> Snapshot:
        """Return what should be."""

    async def start_split(
        self, app: AppName, weights: Mapping[BranchName, int], control: BranchName, expected_visitors: int
    ) -> Split:
        """Begin a split in its first phase. Raises SplitRunning, BranchNotFound, AppNotFound."""

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Begin a new phase of the running split; with the weights it has, change nothing.

        Raises SplitNotFound, BranchNotFound, InvalidWeights.
        """

    async def cancel_split(self, app: AppName) -> Split:
        """End the running split. Raises SplitNotFound."""

    async def split(self, app: AppName) -> Split:
        """Return the running split, else the one that ended last. Raises SplitNotFound, AppNotFound."""

    async def add_token(self, name: str, digest: str) -> None:
        """Add a token by the SHA-256 of its text, in hex; one of this name is replaced."""

    async def token_name(self, digest: str) -> str | None:
        """Return the name of the token with this digest, None where there is none."""


class Repository(Protocol):
    """The git repositories of the apps."""

    async def create(self, app: AppName) -> None:
        """Make the bare repository; one that is there is left as it is."""

    async def export(self, app: AppName, commit: Commit, directory: Path) -> None:
        """Write the tree of a commit into an empty directory. Raises BuildFailed."""

    async def describe(self, app: AppName, commit: Commit) -> tuple[str, str]:
        """Return the first line of a commit's message, and its author. Raises ReleaseNotFound."""

    async def ref(self, app: AppName, branch: BranchName) -> Commit | None:
        """Return the commit that a branch points at."""

    async def move_ref(self, app: AppName, branch: BranchName, commit: Commit) -> None:
        """Make a branch point at a commit."""

    async def set_head(self, app: AppName, branch: BranchName) -> None:
        """Make a clone of the app check out this branch."""


class Workspace(Protocol):
    """The directories of releases."""

    def create(self, release: Release) -> Path:
        """Make the empty tree of a new release and return it."""

    def tree(self, release: Release) -> Path:
        """Return where the tree of a release is."""

    def has_tree(self, release: Release) -> bool:
        """Tell whether a release can be started again."""

    def discard_tree(self, release: Release) -> None:
        """Remove the tree of a release that will not run again."""

    def build_log(self, release: Release) -> Path:
        """Return the file that a release's build is written to."""


class Builder(Protocol):
    """Turns an exported tree into something that can be started."""

    def manifest(self, directory: Path) -> Manifest:
        """Return how the tree is to be run. Raises InvalidManifest."""

    async def build(self, directory: Path, config: Mapping[str, str], tell: Tell) -> None:
        """Install what the tree needs, inside it. Raises BuildFailed."""

    async def run_release_command(self, command: str, directory: Path, config: Mapping[str, str], tell: Tell) -> None:
        """Run the release command. Raises BuildFailed."""


class Ports(Protocol):
    """Ports for instances."""

    def choose(self, leased: AbstractSet[int]) -> int:
        """Return a port that is neither leased nor listened on. Raises PortsExhausted."""


class Supervisor(Protocol):
    """The instances as processes."""

    @property
    def exits(self) -> Mapping[int, Exit]:
        """The latest unasked-for end of each instance."""

    def running(self) -> frozenset[int]:
        """Return the instances whose process is there."""

    def ending(self) -> frozenset[int]:
        """Return the instances that were asked to end, whether they have or not."""

    async def start(self, instance: Instance, release: Release) -> None:
        """Start the process of an instance and record it, before it can be lost. Raises NotHealthy."""

    async def wait_until_healthy(self, instance: Instance, release: Release) -> None:
        """Return when the instance is healthy. Raises NotHealthy with the reason and the last log lines."""

    def stop(self, instance: Instance) -> None:
        """Begin to stop an instance: SIGTERM to its process group, after a grace SIGKILL. Does not wait."""


class Proxy(Protocol):
    """The data plane."""

    async def apply(self, table: RouteTable) -> None:
        """Make the proxy do what `table` says; when this returns, it does. Raises ProxyFailed."""

    async def busy(self, servers: Sequence[str]) -> frozenset[str]:
        """Return those of `servers` (names of instances) that still have requests in flight, in any worker."""


class Ledger(Protocol):
    """Answers about what visitors did."""

    async def tally(self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str]) -> SplitTally:
        """Return visitors and moments of a split; rows of other phases or variants are left out.

        Variants are slugs of branches, as in the cookie. Raises LedgerUnavailable.
        """

    async def intake(self, app: str) -> Intake:
        """Return what was accepted, refused and duplicate of an app. Raises LedgerUnavailable."""
