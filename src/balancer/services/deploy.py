"""Deploys: a commit of a branch becomes what its visitors see, or nothing has changed.

Invariants:
    * One deploy a branch at a time; the next waits its turn and is told so.
    * In a freeze, also one that begins meanwhile, the default branch stays as it is, unless it is an emergency.
    * Everything before `activate` can fail or be cancelled, and no visitor sees it.
    * A ref points at the commit that is live, or is its canary: git moves it after a push, `refs` everywhere else.
    * What is live already, or is its canary, is not deployed again by a push that would make a canary of it.
    * The manifest of the commit says how it goes live, unless whoever deploys wants it at once.
"""

import contextlib
from collections.abc import Awaitable, Callable

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.push_mode import Mode, PushMode, check_pushed
from balancer.domain.release import Release
from balancer.domain.split import CANARY
from balancer.errors import BalancerError, RefMoved
from balancer.services.build import Builds
from balancer.services.cancel import Cancellations
from balancer.services.formation import Formations
from balancer.services.freeze import Freezes
from balancer.services.interfaces import Repository, Tell, Workspace
from balancer.services.launch import Launcher
from balancer.services.push_modes import PushModes, tell_of_rollout
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.rollout_planning import RolloutPlanning
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
        modes: PushModes,
        planning: RolloutPlanning,
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
        self._modes = modes
        self._planning = planning
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
        asked: Mode | None = None,
    ) -> Release:
        """Deploy a pushed commit; `before` is where the pusher believed the ref to be, `asked` what they want it to do.

        Raises Frozen, RefMoved, DeployFailed, InvalidManifest, DomainTaken, AppNotFound, ReleaseNotFound, and Conflict
        where the rollout that it is to begin cannot.
        """
        check_pushed(branch)
        async with self._formations.deploying(app, branch, tell):
            if (await self._refs.wanted(app)).get(branch) != before:
                raise RefMoved(f"{branch} moved while this push waited: fetch, merge and push again")
            if (there := await self._modes.nothing_new(app, branch, commit, asked, tell)) is not None:
                return there
            await self._freezes.check(app, branch, during_freeze=during_freeze)
            return await self._deploy(await self._opened(app, branch, commit), asked, tell, during_freeze)

    async def bring(
        self,
        app: AppName,
        branch: BranchName,
        make: Callable[[Commit | None], Awaitable[Commit]],
        tell: Tell,
        *,
        during_freeze: bool = False,
        asked: Mode | None = None,
    ) -> Release:
        """Deploy the commit that `make` makes of the one that the ref points at; the ref follows.

        Raises what `make` does, and what `push` does but RefMoved.
        """
        check_pushed(branch)
        async with self._formations.deploying(app, branch, tell):
            await self._freezes.check(app, branch, during_freeze=during_freeze)
            commit = await make((await self._refs.wanted(app)).get(branch))
            release = await self._modes.nothing_new(app, branch, commit, asked, tell)
            if release is None:
                release = await self._deploy(await self._opened(app, branch, commit), asked, tell, during_freeze)
            await self._refs.settle(app, {branch, CANARY})
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

    async def _deploy(self, release: Release, asked: Mode | None, to_pusher: Tell, during_freeze: bool) -> Release:
        pushed = release.branch
        with contextlib.closing(self._workspace.record(release)) as record:

            def tell(line: str) -> None:
                to_pusher(line)
                record.note(line)

            try:
                ready = self._start(release, asked, tell)
                release, mode = await self._cancellations.run(release.app, release.branch, ready)
                passed(CrashPoint.BEFORE_ACTIVATE)
                if not during_freeze:  # it may have begun while this was built
                    await self._freezes.check(release.app, pushed, during_freeze=False)
                release, rollout = await self._modes.go_live(release, pushed, mode, tell)
                passed(CrashPoint.ACTIVATED)
            except BaseException as reason:
                with contextlib.suppress(OSError):  # a full disk is the reason, perhaps
                    record.note(f"-----> Not live: {reason if isinstance(reason, BalancerError) else 'broken off'}")
                await self._switch.abandon(release, reason, keep_tree=False)
                raise
            await self._switch.follow(release, tell)
            if rollout is not None:
                tell_of_rollout(rollout, tell)
                if outlook := await self._planning.outlook(rollout):
                    tell(f"       {outlook}: `balancer rollout plan {rollout.app}`")
            await self._builds.conclude(release, tell)
            return release

    async def _start(self, release: Release, asked: Mode | None, tell: Tell) -> tuple[Release, PushMode]:
        manifest = await self._builds.unpack(release, tell)
        mode = await self._modes.chosen(release, manifest, asked, tell)
        if mode.mode is Mode.CANARY:
            release = await self._registry.set_branch(release.id, CANARY)
        await self._builds.build(release, manifest, tell)
        passed(CrashPoint.BUILT)
        log.info("release.built", app=release.app, branch=release.branch, release=release.number)
        release = await self._registry.start_release(release.id, manifest)
        passed(CrashPoint.RELEASE_STARTING)
        await self._launcher.launch(release, tell)
        return release, mode
