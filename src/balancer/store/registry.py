"""The registry: the truth about apps, releases, instances and splits, in SQL.

Invariants:
    * A method is one transaction: what it does is wholly done or not at all, whoever is cancelled or killed.
    * One thread runs them all, in the order of the calls: there is one writer, and nothing waits for a lock.
    * Config vars are on the disk only encrypted.

This is the Registry that the services ask for; their Protocol tells what each method means.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from balancer.domain.app import App, AppName, BranchName, Commit, Manifest
from balancer.domain.release import Instance, InstanceState, ProcessId, Release
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Split
from balancer.errors import Unavailable
from balancer.store import apps, config_vars, instances, releases, splits, tokens

P = ParamSpec("P")
T = TypeVar("T")


class SqlRegistry:
    """The registry in the database that `engine` opens; every method may raise Unavailable too."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], cipher: Fernet) -> None:
        self._engine = engine
        self._clock = clock
        self._cipher = cipher
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")

    async def close(self) -> None:
        """Finish what was asked for, and close the database."""
        await asyncio.to_thread(self._close)

    async def create_app(self, name: AppName, default_branch: BranchName | None) -> App:
        """Add an app. Raises AppExists."""
        return await self._transact(apps.add, name, default_branch, self._clock())

    async def apps(self) -> tuple[App, ...]:
        """Return every app, by name."""
        return await self._transact(apps.all_apps)

    async def app(self, name: AppName) -> App:
        """Return one app. Raises AppNotFound."""
        return await self._transact(apps.get, name)

    async def config(self, app: AppName) -> dict[str, str]:
        """Return the config vars that the app's next release will have. Raises AppNotFound."""
        return await self._transact(config_vars.read, self._cipher, app)

    async def set_config(self, app: AppName, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Set the config vars in `changes`, drop those that are None, return all. Raises AppNotFound."""
        return await self._transact(config_vars.change, self._cipher, app, changes)

    async def open_release(
        self, app: AppName, branch: BranchName, commit: Commit, *, subject: str, author: str
    ) -> Release:
        """Add a building release. Raises AppNotFound, InvalidName where its slug is another branch's."""
        now = self._clock()

        def opening(connection: Connection) -> Release:
            config = config_vars.sealed(self._cipher, config_vars.read(connection, self._cipher, app))
            return releases.add(connection, app, branch, commit, subject=subject, author=author, config=config, now=now)

        return await self._transact(opening)

    async def release_config(self, release_id: int) -> dict[str, str]:
        """Return the config vars of a release. Raises ReleaseNotFound."""
        return config_vars.opened(self._cipher, await self._transact(releases.config, release_id))

    async def start_release(self, release_id: int, manifest: Manifest) -> Release:
        """Move a building or retired release to starting. Raises IllegalTransition, ReleaseNotFound."""
        return await self._transact(releases.start, release_id, manifest)

    async def activate(self, release_id: int) -> Release:
        """Make a release live and the one before it draining.

        Raises DomainTaken, IllegalTransition, ReleaseNotFound; then nothing has changed.
        """
        return await self._transact(releases.activate, release_id, self._clock())

    async def fail_release(self, release_id: int, reason: str) -> Release:
        """Move a release to failed (to retired, if it was live once).

        Raises IllegalTransition, ReleaseNotFound.
        """
        return await self._transact(releases.fail, release_id, reason)

    async def retire_release(self, release_id: int) -> Release:
        """Move a draining release to retired. Raises IllegalTransition, ReleaseNotFound."""
        return await self._transact(releases.retire, release_id)

    async def releases(self, app: AppName, limit: int = 50) -> tuple[Release, ...]:
        """Return the app's releases, newest first. Raises AppNotFound."""
        return await self._transact(releases.newest, app, limit)

    async def release_before(self, app: AppName, branch: BranchName) -> Release:
        """Return the release that was live before the one that is. Raises ReleaseNotFound."""
        return await self._transact(releases.before, app, branch)

    async def open_instance(self, release_id: int, index: int, port: int) -> Instance:
        """Add a starting instance. Raises ReleaseNotFound, Conflict where another instance holds the port."""
        return await self._transact(instances.add, release_id, index, port)

    async def leased_ports(self) -> frozenset[int]:
        """Return the ports of all instances that are not stopped."""
        return await self._transact(instances.leased_ports)

    async def record_process(self, instance_id: int, process: ProcessId) -> None:
        """Note the process that an instance now is. Raises NotFound."""
        await self._transact(instances.record_process, instance_id, process)

    async def move_instance(self, instance_id: int, state: InstanceState) -> None:
        """Move an instance to another state. Raises IllegalTransition, NotFound."""
        await self._transact(instances.move, instance_id, state, self._clock())

    async def snapshot(self) -> Snapshot:
        """Return what should be, as of one moment."""
        return await self._transact(_snapshot)

    async def start_split(
        self, app: AppName, weights: Mapping[BranchName, int], control: BranchName, expected_visitors: int
    ) -> Split:
        """Begin a split. Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights."""
        return await self._transact(splits.start, app, weights, control, expected_visitors, self._clock())

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Begin a new phase of the running split.

        Raises SplitNotFound, BranchNotFound, InvalidWeights, AppNotFound.
        """
        return await self._transact(splits.set_weights, app, weights, self._clock())

    async def cancel_split(self, app: AppName) -> Split:
        """End the running split. Raises SplitNotFound, AppNotFound."""
        return await self._transact(splits.cancel, app, self._clock())

    async def split(self, app: AppName) -> Split:
        """Return the running split, else the last. Raises SplitNotFound, AppNotFound."""
        return await self._transact(splits.latest, app)

    async def add_token(self, name: str, digest: str) -> None:
        """Add a token; one of this name is replaced. Raises Conflict where the digest has another name."""
        await self._transact(tokens.put, name, digest, self._clock())

    async def token_name(self, digest: str) -> str | None:
        """Return the name of the token with this digest, None where there is none."""
        return await self._transact(tokens.name_of, digest)

    async def _transact(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a transaction on the thread; begun, it ends, even if the caller is cancelled."""

        def transaction() -> T:
            try:
                with self._engine.begin() as connection:
                    return work(connection, *args, **kwargs)
            except OperationalError as reason:
                raise Unavailable(
                    f"the registry does not answer ({reason.orig}); "
                    "see that its disk is there and has room, then try again"
                ) from reason

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def _close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()


def _snapshot(connection: Connection) -> Snapshot:
    return Snapshot(
        apps=apps.all_apps(connection),
        releases=releases.not_over(connection),
        instances=instances.not_stopped(connection),
        splits=splits.running(connection),
    )
