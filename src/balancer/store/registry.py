"""The registry: the truth about apps, releases, instances and splits, in SQL.

Invariants:
    * A method is one transaction: what it does is wholly done or not at all, whoever is cancelled or killed.
    * What people are told of what a method does is kept by its transaction.
    * Config vars are on the disk only encrypted.

This is the Registry that the services ask for; their Protocol tells what each method means.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine

from balancer.domain.app import (
    App,
    AppMode,
    AppName,
    BranchName,
    ConfigChanges,
    PreviewKey,
)
from balancer.domain.cron import CronRun
from balancer.domain.key import Key, KeyName, PublicKey
from balancer.domain.manifest import CronJob, ProcessType
from balancer.domain.notice import split_ended, went_live
from balancer.domain.release import Instance, InstanceState, ProcessId, Release
from balancer.domain.snapshot import Snapshot
from balancer.domain.source import PullSource
from balancer.domain.split import OVER, Split
from balancer.store import (
    apps,
    branches,
    canaries,
    config_vars,
    cron_runs,
    freezes,
    instances,
    keys,
    releases,
    sources,
    targets,
)
from balancer.store.access_records import AccessRecords
from balancer.store.audit_records import AuditRecords
from balancer.store.bandit_records import BanditRecords
from balancer.store.freeze_records import FreezeRecords
from balancer.store.metric_records import MetricRecords
from balancer.store.notice_records import NoticeRecords
from balancer.store.release_records import ReleaseRecords
from balancer.store.rollout_records import RolloutRecords
from balancer.store.snapshots import Snapshots
from balancer.store.split_records import SplitRecords


class SqlRegistry(
    ReleaseRecords,
    SplitRecords,
    MetricRecords,
    RolloutRecords,
    BanditRecords,
    AuditRecords,
    NoticeRecords,
    AccessRecords,
    FreezeRecords,
):
    """The registry in the database that `engine` opens; every method may raise Unavailable too."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], cipher: Fernet) -> None:
        super().__init__(engine, clock, cipher)
        self._snapshots = Snapshots(engine)

    async def create_app(self, name: AppName, default_branch: BranchName | None) -> App:
        """Add an app. Raises AppExists."""
        return await self._transact(apps.add, name, default_branch, self._clock())

    async def apps(self) -> tuple[App, ...]:
        """Return every app, by name."""
        return await self._transact(apps.all_apps)

    async def app(self, name: AppName) -> App:
        """Return one app. Raises AppNotFound."""
        return await self._transact(apps.get, name)

    async def remove_app(self, name: AppName) -> None:
        """Remove an app with all that is its own. Raises AppNotFound, Conflict while an instance of it is there."""

        def removing(connection: Connection) -> None:
            targets.forget_app(connection, name)
            freezes.forget_app(connection, name)
            apps.remove(connection, name)

        await self._transact(removing)

    async def config(self, app: AppName) -> dict[str, str]:
        """Return the config vars that the app's next release will have. Raises AppNotFound."""
        return await self._transact(config_vars.read, self._cipher, app)

    async def set_config(self, app: AppName, changes: ConfigChanges) -> dict[str, str]:
        """Set the config vars in `changes`, drop those that are None, return all. Raises AppNotFound."""
        return await self._transact(config_vars.change, self._cipher, app, changes)

    async def formation(self, app: AppName) -> dict[ProcessType, int]:
        """Return how many instances the operator asked for. Raises AppNotFound."""
        return await self._transact(apps.formation, app)

    async def set_formation(self, app: AppName, counts: Mapping[ProcessType, int]) -> dict[ProcessType, int]:
        """Ask for so many instances of these process types, return all that was asked for. Raises AppNotFound."""
        return await self._transact(apps.set_formation, app, counts)

    async def replace_instances(
        self,
        app: AppName,
        *,
        serving: Collection[int] = (),
        draining: Collection[int] = (),
        formation: Mapping[ProcessType, int] | None = None,
        mode: AppMode | None = None,
    ) -> None:
        """Make instances healthy and others draining, and with them the formation and the mode of their app.

        Raises AppNotFound, IllegalTransition, NotFound; then nothing has changed.
        """

        def replacing(connection: Connection) -> None:
            apps.set_formation(connection, app, formation or {})
            if mode:
                apps.set_mode(connection, app, mode)
            instances.move_all(connection, serving, InstanceState.HEALTHY, self._clock())
            instances.move_all(connection, draining, InstanceState.DRAINING, self._clock())

        await self._transact(replacing)

    async def set_mode(self, app: AppName, mode: AppMode) -> App:
        """Say what visitors of an app get. Raises AppNotFound."""
        return await self._transact(apps.set_mode, app, mode)

    async def open_instance(self, release_id: int, process: ProcessType, index: int, port: int) -> Instance:
        """Add a starting instance. Raises ReleaseNotFound, Conflict where another instance holds the port."""
        return await self._transact(instances.add, release_id, process, index, port)

    async def leased_ports(self) -> frozenset[int]:
        """Return the ports of all instances that are not stopped."""
        return await self._transact(instances.leased_ports)

    async def record_process(self, instance_id: int, process: ProcessId) -> None:
        """Note the process that an instance now is. Raises NotFound."""
        await self._transact(instances.record_process, instance_id, process)

    async def record_host(self, instance_id: int, host: str) -> None:
        """Note the address on which an instance answers. Raises NotFound."""
        await self._transact(instances.record_host, instance_id, host)

    async def replace_instance(self, instance_id: int, port: int) -> Instance:
        """Open an instance on another port in the place of one. Raises NotFound, IllegalTransition."""
        return await self._transact(instances.replace, instance_id, port, self._clock())

    async def move_instance(
        self, instance_id: int, state: InstanceState, *, before: InstanceState | None = None
    ) -> None:
        """Move an instance to another state. Raises NotFound, IllegalTransition also where it is not in `before`."""
        await self._transact(instances.move, instance_id, state, self._clock(), before)

    async def snapshot(self) -> Snapshot:
        """Return what should be, as of one moment."""
        return await self._transact(self._snapshots.read)

    async def remove_branch(self, app: AppName, branch: BranchName) -> tuple[Release, Split | None]:
        """Take a branch down. Raises BranchInUse, BranchNotFound, AppNotFound."""
        now = self._clock()

        def removing(connection: Connection) -> tuple[Release, Split | None]:
            release, split = branches.remove(connection, app, branch, now)
            if split is not None and split.state in OVER:
                self._tell(connection, split_ended(split))
            return release, split

        return await self._transact(removing)

    async def set_default_branch(self, app: AppName, branch: BranchName) -> App:
        """Make a live branch the default one. Raises DomainTaken, BranchNotFound, AppNotFound."""
        return await self._transact(branches.set_default, app, branch)

    async def end_promotion(self, app: AppName) -> App:
        """Let visitors see the default branch again in the place of a winner. Raises AppNotFound."""

        def ending(connection: Connection) -> App:
            canaries.end(connection, app, self._clock())
            apps.promote(connection, app, None)
            found = apps.get(connection, app)
            live = releases.live(connection, app)
            if found.default_branch in live:
                self._tell(connection, went_live(live[found.default_branch]))
            return found

        return await self._transact(ending)

    async def set_preview_key(self, app: AppName, key: PreviewKey | None) -> App:
        """Let a key show branches of an app, in the place of the one before. Raises AppNotFound."""
        return await self._transact(apps.set_preview_key, app, key)

    async def add_key(self, name: KeyName, public: PublicKey) -> Key:
        """Add a key that may push. Raises Conflict where the name is taken or the key there."""
        return await self._transact(keys.add, name, public, self._clock())

    async def keys(self) -> tuple[Key, ...]:
        """Return the keys that may push, by name."""
        return await self._transact(keys.every)

    async def remove_key(self, name: KeyName) -> None:
        """Remove a key. Raises NotFound."""
        await self._transact(keys.remove, name)

    async def set_source(self, source: PullSource) -> PullSource:
        """Let an app follow a repository; the secret of one before stays. Raises AppNotFound."""
        return await self._transact(sources.put, self._cipher, source)

    async def source(self, app: AppName) -> PullSource:
        """Return what an app follows. Raises NotFound, AppNotFound."""
        return await self._transact(sources.get, self._cipher, app)

    async def remove_source(self, app: AppName) -> None:
        """Forget what an app follows. Raises NotFound, AppNotFound."""
        await self._transact(sources.remove, app)

    async def claim_cron(self, app: AppName, job: CronJob, minute: datetime, release: int) -> bool:
        """Note that a job runs in this minute; False where it has. Raises AppNotFound."""
        return await self._transact(cron_runs.claim, app, job, minute, release)

    async def end_cron(self, app: AppName, job: CronJob, status: int | None) -> None:
        """Note how the last run of a job has ended."""
        await self._transact(cron_runs.end, app, job, status, self._clock())

    async def cron_runs(self, app: AppName) -> tuple[CronRun, ...]:
        """Return the last run of each job that an app has or had. Raises AppNotFound."""
        return await self._transact(cron_runs.all_of, app)
