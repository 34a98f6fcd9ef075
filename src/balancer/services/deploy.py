"""Deploys: a commit of a branch becomes what its visitors see, or nothing has changed.

Invariants:
    * One deploy a branch at a time; the next waits its turn and is told so.
    * In a freeze the default branch stays as it is, unless the deploy says that it is an emergency.
    * Everything before `activate` can fail or be cancelled, and no visitor sees it.
    * A ref points at the commit that is live: git moves it after a push, `refs` everywhere else.
"""

import contextlib
from collections.abc import Awaitable, Callable

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.release import Release
from balancer.errors import BalancerError, RefMoved
from balancer.services.build import Builds
from balancer.services.cancel import Cancellations
from balancer.services.formation import Formations
from balancer.services.freeze import Freezes
from balancer.services.interfaces import Repository, Tell, Workspace
from balancer.services.launch import Launcher
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.switch import Switch

log = logs.named("deploy")


class Deploys:
    """Carries out pushes."""

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        workspace: Workspace,
        builds: Builds,
        launcher: Launcher,
        formations: Formations,
        switch: Switch,
        refs: Refs,
        freezes: Freezes,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._workspace = workspace
        self._builds = builds
        self._launcher = launcher
        self._formations = formations
        self._switch = switch
        self._refs = refs
        self._freezes = freezes
        self._cancellations = Cancellations()

    async def push(
        self,
        app: AppName,
        branch: BranchName,
        commit: Commit,
        before: Commit | None,
        tell: Tell,
        *,
        during_freeze: bool = False,
    ) -> Release:
        """Deploy a pushed commit; `before` is what the pusher believed to be live.

        Raises Frozen, RefMoved, DeployFailed, InvalidManifest, DomainTaken, AppNotFound, ReleaseNotFound.
        """
        async with self._formations.deploying(app, branch, tell):
            live = (await self._registry.snapshot()).live(app).get(branch)
            if (live.commit if live else None) != before:
                raise RefMoved(f"{branch} moved while this push waited: fetch, merge and push again")
            await self._freezes.check(app, branch, during_freeze=during_freeze)
            return await self._deploy(await self._opened(app, branch, commit), tell)

    async def bring(
        self,
        app: AppName,
        branch: BranchName,
        make: Callable[[Commit | None], Awaitable[Commit]],
        tell: Tell,
        *,
        during_freeze: bool = False,
    ) -> Release:
        """Deploy the commit that `make` makes of the one that is live; the ref follows.

        Raises what `make` does, and what `push` does but RefMoved.
        """
        async with self._formations.deploying(app, branch, tell):
            await self._freezes.check(app, branch, during_freeze=during_freeze)
            live = (await self._registry.snapshot()).live(app).get(branch)
            commit = await make(live.commit if live else None)
            release = await self._deploy(await self._opened(app, branch, commit), tell)
            await self._refs.settle(app, [branch])
            return release

    async def _opened(self, app: AppName, branch: BranchName, commit: Commit) -> Release:
        subject, author = await self._repository.describe(app, commit)
        release = await self._registry.open_release(app, branch, commit, subject=subject, author=author)
        passed(CrashPoint.RELEASE_OPENED)
        log.info("release.opened", app=app, branch=branch, release=release.number, commit=commit)
        return release

    def cancel(self, app: AppName, branch: BranchName | None, by: str) -> BranchName:
        """Cancel the deploy of a branch that is under way, the only one where none is named; return the branch.

        Raises NotFound where there is none, Conflict where it has to be named.
        """
        return self._cancellations.cancel(app, branch, by)

    async def _deploy(self, release: Release, to_pusher: Tell) -> Release:
        with contextlib.closing(self._workspace.record(release)) as record:

            def tell(line: str) -> None:
                to_pusher(line)
                record.note(line)

            try:
                release = await self._cancellations.run(release.app, release.branch, self._start(release, tell))
                passed(CrashPoint.BEFORE_ACTIVATE)
                release = await self._registry.activate(release.id)
                passed(CrashPoint.ACTIVATED)
            except BaseException as reason:
                with contextlib.suppress(OSError):  # a full disk is the reason, perhaps
                    record.note(f"-----> Not live: {reason if isinstance(reason, BalancerError) else 'broken off'}")
                await self._switch.abandon(release, reason, keep_tree=False)
                raise
            await self._switch.follow(release, tell)
            await self._builds.conclude(release, tell)
            return release

    async def _start(self, release: Release, tell: Tell) -> Release:
        manifest = await self._builds.build(release, tell)
        passed(CrashPoint.BUILT)
        log.info("release.built", app=release.app, branch=release.branch, release=release.number)
        release = await self._registry.start_release(release.id, manifest)
        passed(CrashPoint.RELEASE_STARTING)
        await self._launcher.launch(release, tell)
        return release
