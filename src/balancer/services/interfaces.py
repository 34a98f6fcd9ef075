"""What the stories need of the world, as Protocols; `wiring` gives them the real ones.

Each method names the errors that a caller can act on. What a method does is wholly done or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import Protocol

from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.manifest import Manifest
from balancer.domain.notice import Notice
from balancer.domain.plan import Exit
from balancer.domain.release import Instance, Release
from balancer.domain.remote import RemoteUrl
from balancer.domain.routing import RouteTable
from balancer.domain.traffic import Traffic
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally

Tell = Callable[[str], None]
"""Says one line to whoever waits for a deploy."""


def to_nobody(line: str) -> None:
    """Tell nobody: nobody waits."""


class Teller(Protocol):
    """Tells people and programs elsewhere what has happened."""

    async def tell(self, notice: Notice) -> None:
        """Keep a notice for those who want it; raises nothing, and waits for none of them."""


class ToNobody:
    """A Teller whom nobody listens to."""

    async def tell(self, notice: Notice) -> None:
        """Tell nobody."""


TO_NOBODY = ToNobody()


class Repository(Protocol):
    """The git repositories of the apps."""

    async def create(self, app: AppName) -> None:
        """Make the bare repository; one that is there is left as it is."""

    def discard(self, app: AppName) -> None:
        """Remove the repository of an app, if there is one."""

    async def export(self, app: AppName, commit: Commit, directory: Path) -> None:
        """Write the tree of a commit into an empty directory. Raises BuildFailed."""

    async def describe(self, app: AppName, commit: Commit) -> tuple[str, str]:
        """Return the first line of a commit's message, and its author. Raises ReleaseNotFound."""

    async def commit_archive(
        self, app: AppName, archive: Path, parent: Commit | None, *, message: str, author: str, at: datetime
    ) -> Commit:
        """Make a commit of what a tar file holds. Raises InvalidInput, BuildFailed; then nothing is kept."""

    async def fetch(self, app: AppName, remote: RemoteUrl, ref: BranchName) -> Commit:
        """Fetch what a branch, tag or commit of another repository is, with its history. Raises BuildFailed."""

    async def refs(self, app: AppName) -> dict[BranchName, Commit]:
        """Return the branches that there are, each with the commit that it points at."""

    async def contains(self, app: AppName, commit: Commit, ancestor: Commit) -> bool:
        """Tell whether a commit is `ancestor`, or has it in its history."""

    async def move_ref(self, app: AppName, branch: BranchName, commit: Commit) -> None:
        """Make a branch point at a commit."""

    async def delete_ref(self, app: AppName, branch: BranchName) -> None:
        """Forget a branch; one that is not there is forgotten already."""

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

    def logs(self, release: Release) -> Mapping[str, Path]:
        """Return every log of a release by its name."""

    def discard_app(self, app: AppName) -> None:
        """Remove the trees and the logs of all releases of an app."""

    def record(self, release: Release) -> "BuildLog":
        """Return what adds to the log of a release's build; to be closed."""

    def build_log(self, release: Release) -> Path:
        """Return the file that a release's build is written to."""


class BuildLog(Protocol):
    """What a deploy said, kept with its release."""

    def note(self, line: str) -> None:
        """Add a line, or several. Raises OSError."""

    def close(self) -> None:
        """Note nothing more."""


class Builder(Protocol):
    """Turns an exported tree into something that can be started."""

    def manifest(self, directory: Path) -> Manifest:
        """Return how the tree is to be run. Raises InvalidManifest."""

    async def build(self, release: Release, config: Mapping[str, str], tell: Tell) -> None:
        """Install what the tree of a release needs, inside it; `config` are its config vars. Raises BuildFailed."""

    async def run(self, what: str, command: str, release: Release, config: Mapping[str, str], tell: Tell) -> None:
        """Run a command of the manifest in a built tree; `what` says which one. Raises BuildFailed."""


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

    def logs(self) -> frozenset[Path]:
        """Return the logs of the instances that were started here and run."""

    def ending(self) -> frozenset[int]:
        """Return the instances that were asked to end, whether they have or not."""

    def is_robbed(self, instance: Instance) -> bool:
        """Tell whether somebody else listens on the port of an instance that does not run."""

    async def start(self, instance: Instance, release: Release) -> None:
        """Start the process of an instance and record it, before it can be lost. Raises NotHealthy."""

    async def wait_until_healthy(self, instance: Instance, release: Release) -> str:
        """Return the address on which the instance is healthy.

        Raises NotHealthy with the reason and the last log lines, PortStolen where somebody else has the port.
        """

    async def probe(self, instance: Instance, release: Release) -> tuple[str | None, str]:
        """Ask a running instance whether it lives: return the address that answered well, and what was seen."""

    async def end(self, instance: Instance) -> None:
        """Stop an instance, and wait until all of it has ended."""

    def stop(self, instance: Instance) -> None:
        """Begin to stop an instance: SIGTERM to its process group, after a grace SIGKILL. Does not wait."""


class Proxy(Protocol):
    """The data plane."""

    async def apply(self, table: RouteTable) -> None:
        """Make the proxy do what `table` says; when this returns, it does. Raises ProxyFailed."""

    async def traffic(self) -> Traffic:
        """Return what goes on at the instances. Raises ProxyFailed."""


class Ledger(Protocol):
    """Answers about what visitors did."""

    async def releases(
        self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return visitors and events of a split by the release that each visitor was exposed by.

        Variants are slugs of branches, as in the cookie; rows of other phases or variants are left out. `marks` tell
        which release a branch had when. Raises LedgerUnavailable.
        """

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Raises LedgerUnavailable."""

    async def affected(self, question: AffectedQuestion) -> Affected:
        """Return whom the events of a question befell. Raises LedgerUnavailable."""

    async def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Raises LedgerUnavailable."""

    async def intake(self, app: str) -> Intake:
        """Return what was accepted, refused and duplicate of an app. Raises LedgerUnavailable."""
