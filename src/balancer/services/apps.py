"""Apps: made, with their repository and their host, and deleted with all that is theirs.

Invariants:
    * A deletion that breaks off leaves an app that is stopped and can be deleted again.
    * A new app finds nothing of one that had its name.
"""

import asyncio

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import App, AppMode, AppName, BranchName
from balancer.errors import Conflict
from balancer.services.formation import Formations
from balancer.services.interfaces import Repository, Tell, Workspace
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry
from balancer.services.turns import Turns

log = logs.named("apps")


class Apps:
    """Carries out what an operator asks of apps."""

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        workspace: Workspace,
        reconciler: Reconciler,
        formations: Formations,
        turns: Turns,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._workspace = workspace
        self._reconciler = reconciler
        self._formations = formations
        self._turns = turns

    async def create(self, name: AppName, default_branch: BranchName | None) -> App:
        """Make an app; when this returns, it can be pushed and its host says so. Raises AppExists."""
        app = await self._registry.create_app(name, default_branch)
        await self._repository.create(app.name)
        log.info("app.created", app=app.name)
        await self._reconciler.converge()
        return app

    async def delete(self, name: AppName, tell: Tell) -> App:
        """Stop an app, and remove its releases, its repository and all that the registry has of it.

        Raises AppNotFound, Conflict where an instance of it does not stop in time, or it was pushed meanwhile.
        """
        await self._formations.stop(name, tell)
        async with self._turns.of(name, None, tell):
            app = await self._registry.app(name)
            snapshot = await self._registry.snapshot()
            runs = any(snapshot.instances_of(release) for release in snapshot.releases if release.app == name)
            if app.mode is not AppMode.STOPPED or runs:
                raise Conflict(f"{name} runs again, or still; it was not deleted: try again")
            # First what the registry refers to: a new app of this name must not find it.
            await asyncio.to_thread(self._repository.discard, name)
            passed(CrashPoint.REPOSITORY_DISCARDED)
            await asyncio.to_thread(self._workspace.discard_app, name)
            passed(CrashPoint.RELEASES_DISCARDED)
            await self._registry.remove_app(name)
            passed(CrashPoint.APP_REMOVED)
            log.info("app.deleted", app=name)
            tell(f"-----> Deleted {name}")
            await self._reconciler.converge()
            return app
