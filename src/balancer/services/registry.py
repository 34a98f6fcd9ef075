"""What the stories need of the registry: the truth about apps, releases, instances and splits, as a Protocol.

Each method names the errors that a caller can act on, and is wholly done or not at all; what people are told of it is
kept with it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from balancer.domain.app import (
    App,
    AppMode,
    AppName,
    BranchName,
    Commit,
    ConfigChanges,
    ConfigKey,
    ConfigValue,
    PreviewKey,
)
from balancer.domain.cron import CronRun
from balancer.domain.fetches import Fetch
from balancer.domain.key import Key, KeyName, PublicKey
from balancer.domain.manifest import CronJob, Manifest, ProcessType
from balancer.domain.metric import Metric, MetricName
from balancer.domain.notice import Notice
from balancer.domain.release import Instance, InstanceState, ProcessId, Release
from balancer.domain.snapshot import Snapshot
from balancer.domain.source import PullSource
from balancer.domain.split import Brief, Split, SplitId
from balancer.domain.token import Token, TokenName


class Registry(Protocol):
    """The truth about apps, releases, instances and splits."""

    async def create_app(self, name: AppName, default_branch: BranchName | None) -> App:
        """Add an app. Raises AppExists."""

    async def apps(self) -> tuple[App, ...]:
        """Return every app, by name."""

    async def app(self, name: AppName) -> App:
        """Return one app. Raises AppNotFound."""

    async def remove_app(self, name: AppName) -> None:
        """Remove an app with all that is its own. Raises AppNotFound, Conflict while an instance of it is there."""

    async def config(self, app: AppName) -> dict[str, str]:
        """Return the config vars that the app's next release will have. Raises AppNotFound."""

    async def set_config(self, app: AppName, changes: ConfigChanges) -> dict[str, str]:
        """Set the config vars in `changes`, remove those that are None there, and return all. Raises AppNotFound."""

    async def formation(self, app: AppName) -> dict[ProcessType, int]:
        """Return how many instances the operator asked for, of the process types that were named."""

    async def set_formation(self, app: AppName, counts: Mapping[ProcessType, int]) -> dict[ProcessType, int]:
        """Ask for so many instances of these process types, and return all that was asked for. Raises AppNotFound."""

    async def replace_instances(
        self,
        app: AppName,
        *,
        serving: Collection[int] = (),
        draining: Collection[int] = (),
        formation: Mapping[ProcessType, int] | None = None,
        mode: AppMode | None = None,
    ) -> None:
        """Make instances of the app healthy and others draining, and with them its formation and its mode.

        Raises AppNotFound, IllegalTransition; then nothing has changed.
        """

    async def set_mode(self, app: AppName, mode: AppMode) -> App:
        """Say what visitors of an app get. Raises AppNotFound."""

    async def open_release(
        self, app: AppName, branch: BranchName, commit: Commit, *, subject: str, author: str
    ) -> Release:
        """Add a building release with the next number and the app's config of now. Raises AppNotFound."""

    async def open_twin(self, live: Release, branch: BranchName, *, subject: str, author: str) -> Release:
        """Add a starting release of a branch that is what `live` is: its commit, tree and config vars."""

    async def open_config_release(self, live: Release, changes: ConfigChanges, *, subject: str, author: str) -> Release:
        """Add a starting release of what `live` runs, with the app's config of now as `changes` make it."""

    async def reconfigure(self, app: AppName, changes: ConfigChanges, release_ids: Collection[int]) -> dict[str, str]:
        """Change config vars as `set_config` does, and make the releases that have them live, as `activate` does.

        A stopped app stays stopped. Raises AppNotFound, DomainTaken, IllegalTransition; then nothing has changed.
        """

    async def complete_config(self, release_id: int, defaults: Mapping[ConfigKey, ConfigValue]) -> dict[str, str]:
        """Give an app, and a building release of it, the config vars that it has none of yet; return the release's."""

    async def release_config(self, release_id: int) -> dict[str, str]:
        """Return the config vars of a release."""

    async def start_release(self, release_id: int, manifest: Manifest) -> Release:
        """Move a building, retired or draining release to starting, with its manifest. Raises IllegalTransition."""

    async def set_branch(self, release_id: int, branch: BranchName) -> Release:
        """Make a building release one of another branch. Raises IllegalTransition, InvalidName."""

    async def activate(
        self,
        release_id: int,
        *,
        with_config: bool = False,
        superseding: bool = False,
        failed: tuple[Release, str] | None = None,
    ) -> Release:
        """Make a release live and the one before it on its branch draining; a stopped app serves.

        With `with_config` the app's config vars become those of the release. With `superseding` one of the default
        branch ends the canary of the app, and its rollout. With `failed` it takes the place of a release that
        fails, for a reason: that is noted with it, and told.

        Web instances of the one before that were healthy stand by; the rest of it drains, and so does what stood by
        until now. A draining release is made live again with the web instances that it has.
        A release of the default branch ends a promotion.
        The first branch of an app to go live becomes its default branch; the domains of a default branch's manifest
        become the app's. Raises DomainTaken, IllegalTransition; then nothing has changed.
        """

    async def fail_release(self, release_id: int, reason: str) -> Release:
        """Move a release that did not go live to failed (to retired, if it was live once)."""

    async def retire_release(self, release_id: int) -> Release:
        """Move a draining release to retired."""

    async def releases(self, app: AppName, limit: int = 50) -> tuple[Release, ...]:
        """Return the app's releases, newest first. Raises AppNotFound."""

    async def failed_deploys(self, since: datetime) -> tuple[Release, ...]:
        """Return each release begun since then that failed and that none of its branch has followed, newest first."""

    async def release_before(self, app: AppName, branch: BranchName) -> Release:
        """Return the release that was live on the branch before the one that is; not one that had to be rolled back.

        Raises ReleaseNotFound.
        """

    async def open_instance(self, release_id: int, process: ProcessType, index: int, port: int) -> Instance:
        """Add a starting instance that holds `port`."""

    async def leased_ports(self) -> frozenset[int]:
        """Return the ports of all instances that are not stopped."""

    async def record_process(self, instance_id: int, process: ProcessId) -> None:
        """Note the process that an instance now is."""

    async def record_host(self, instance_id: int, host: str) -> None:
        """Note the address on which an instance answers."""

    async def replace_instance(self, instance_id: int, port: int) -> Instance:
        """Open an instance on another port in the place of one, unhealthy until it answers, and return it.

        Raises IllegalTransition where that one does not serve.
        """

    async def move_instance(
        self, instance_id: int, state: InstanceState, *, before: InstanceState | None = None
    ) -> None:
        """Move an instance to another state; to the one it is in does nothing.

        Raises IllegalTransition, also where it is not in the state `before` any more.
        """

    async def snapshot(self) -> Snapshot:
        """Return what should be."""

    async def metrics(self, app: AppName) -> tuple[Metric, ...]:
        """Return the metrics of an app that were declared by command, by name. Raises AppNotFound."""

    async def set_metric(self, app: AppName, metric: Metric) -> None:
        """Declare a metric, in the place of one of its name. Raises AppNotFound, InvalidMetric."""

    async def remove_metric(self, app: AppName, name: MetricName) -> None:
        """Take a metric back that was declared by command. Raises AppNotFound, NotFound."""

    async def start_split(
        self,
        app: AppName,
        weights: Mapping[BranchName, int],
        control: BranchName,
        expected_visitors: int,
        brief: Brief = ...,
        *,
        activating: int | None = None,
    ) -> Split:
        """Begin a split in its first phase, and with it make the release `activating` live, where there is one.

        Raises SplitRunning, BranchNotFound, AppNotFound, IllegalTransition; then nothing has changed.
        """

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Begin a new phase of the split that is not over; with the weights it has, change nothing.

        Raises SplitNotFound, BranchNotFound, InvalidWeights.
        """

    async def pause_split(self, app: AppName) -> Split:
        """Assign nobody new. Raises SplitNotFound, IllegalTransition where it is paused already."""

    async def resume_split(self, app: AppName) -> Split:
        """Assign visitors again. Raises SplitNotFound, IllegalTransition where it is not paused."""

    async def conclude_split(self, app: AppName, winner: BranchName) -> Split:
        """End the split with a winner, which visitors see from now on, in the default branch's place.

        A branch that was made for it is taken down. Raises SplitNotFound, BranchNotFound where the winner takes no part
        or is not live, InvalidSplit where it is that twin.
        """

    async def cancel_split(self, app: AppName) -> Split:
        """End the split without a winner; a branch that was made for it is taken down. Raises SplitNotFound."""

    async def reshuffle_split(self, app: AppName) -> Split:
        """End the split and begin the same one with another id, which assigns everyone anew.

        Raises SplitNotFound, InvalidSplit where it is that of a canary.
        """

    async def split(self, app: AppName, split: SplitId | None = None) -> Split:
        """Return one split; none named: what is not over, else what ended last. Raises SplitNotFound, AppNotFound."""

    async def splits(self, app: AppName) -> tuple[Split, ...]:
        """Return every split of an app, the newest first. Raises AppNotFound."""

    async def keep_look(self, split: SplitId, at: datetime, body: str, told: Sequence[Notice] = ()) -> None:
        """Keep a look at a split, and what is told of it; where there is one of that time, it stays as it is."""

    async def looks(self, split: SplitId) -> tuple[str, ...]:
        """Return the looks at a split, the oldest first."""

    async def keep_report(self, split: SplitId, body: str) -> str:
        """Keep the report of a split that is over, and return what is kept: the first one that was."""

    async def kept_report(self, split: SplitId) -> str | None:
        """Return the report of a split that is over, None where it was not made yet."""

    async def splits_without_report(self) -> tuple[Split, ...]:
        """Return every split that is over and of which no report is kept, oldest first."""

    async def remove_branch(self, app: AppName, branch: BranchName) -> tuple[Release, Split | None]:
        """Take a branch down: its release drains, its share of a running split goes to the control.

        A split that has only the control left ends. Return the release, and the split where it was changed. Raises
        BranchInUse for the default branch and a control, BranchNotFound, AppNotFound.
        """

    async def set_default_branch(self, app: AppName, branch: BranchName) -> App:
        """Make a live branch the default one, and its domains the app's.

        Raises DomainTaken, BranchInUse while there is a canary, BranchNotFound, AppNotFound; then nothing has changed.
        """

    async def end_promotion(self, app: AppName) -> App:
        """Let visitors see the default branch again in the place of a winner. Raises AppNotFound."""

    async def set_preview_key(self, app: AppName, key: PreviewKey | None) -> App:
        """Let a key show branches of an app, in the place of the one before. Raises AppNotFound."""

    async def add_key(self, name: KeyName, public: PublicKey) -> Key:
        """Add a key that may push. Raises Conflict where the name is taken or the key there."""

    async def keys(self) -> tuple[Key, ...]:
        """Return the keys that may push, by name."""

    async def remove_key(self, name: KeyName) -> None:
        """Remove a key. Raises NotFound."""

    async def set_source(self, source: PullSource) -> PullSource:
        """Let an app follow a repository; the secret of one before stays. Raises AppNotFound."""

    async def source(self, app: AppName) -> PullSource:
        """Return what an app follows. Raises NotFound, AppNotFound."""

    async def note_fetch(self, fetch: Fetch) -> None:
        """Note, and tell, that fetching what an app follows begins to fail, or works again. Raises AppNotFound."""

    async def remove_source(self, app: AppName) -> None:
        """Forget what an app follows. Raises NotFound, AppNotFound."""

    async def claim_cron(self, app: AppName, job: CronJob, minute: datetime, release: int) -> bool:
        """Note that release number `release` runs a job in this minute; False where it has. Raises AppNotFound."""

    async def end_cron(self, app: AppName, job: CronJob, status: int | None) -> None:
        """Note how the last run of a job has ended."""

    async def cron_runs(self, app: AppName) -> tuple[CronRun, ...]:
        """Return the last run of each job that an app has or had. Raises AppNotFound."""

    async def put_token(self, name: TokenName, digest: str) -> None:
        """Make this the operator's token of this name. Raises Conflict where the digest has another name."""

    async def token(self, digest: str) -> Token | None:
        """Return the token with this digest, and note that it was used; None where there is none."""
