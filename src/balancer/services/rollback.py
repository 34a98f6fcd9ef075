"""Rollbacks: a release that was live before is live again, with its config vars.

Invariants:
    * Until the release is live again, what is live serves on.
    * Two in a row lead back to where they began.
"""

from balancer import logs
from balancer.domain.app import AppName, BranchName
from balancer.domain.release import Instance, Release, ReleaseState
from balancer.domain.split import CANARY
from balancer.errors import BranchNotFound, Conflict, NotHealthy, ReleaseNotFound
from balancer.services.config_vars import summary
from balancer.services.formation import Formations
from balancer.services.interfaces import Tell, Workspace, to_nobody
from balancer.services.launch import Launcher
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.rollout_registry import RolloutRegistry
from balancer.services.switch import Switch

log = logs.named("rollback")


class Rollbacks:
    """Carries out rollbacks, and retreats from what fails."""

    def __init__(
        self,
        registry: RolloutRegistry,
        workspace: Workspace,
        launcher: Launcher,
        reconciler: Reconciler,
        refs: Refs,
        formations: Formations,
        switch: Switch,
    ) -> None:
        self._registry = registry
        self._workspace = workspace
        self._launcher = launcher
        self._reconciler = reconciler
        self._refs = refs
        self._formations = formations
        self._switch = switch

    async def rollback(self, app: AppName, branch: BranchName | None, number: int | None, tell: Tell) -> Release:
        """Make the release before live again, or release `number`; on the default branch where none is named.

        On the default branch the config vars of the app become those of the release.

        Raises ReleaseNotFound, BranchNotFound, AppNotFound, Conflict while a canary goes on, NotHealthy.
        """
        chosen = await self._branch_to_roll_back(app, branch, number)
        async with self._formations.deploying(app, chosen, tell):
            found = await self._registry.app(app)
            if number is None and chosen == found.default_branch:
                await self._check_no_canary(app, chosen)
            if found.promoted and chosen == found.default_branch and number is None:
                return await self._end_promotion(app, found.promoted, chosen, tell)
            release = await self._release_to_return_to(app, chosen, number)
            tell(f"-----> Rolling {app} {chosen} back to release {release.number} ({release.commit.short})")
            is_default = chosen == found.default_branch
            if is_default:
                await self._tell_of_config(release, tell)
            return await self._return_to(release, tell, with_config=is_default)

    async def target(self, app: AppName, branch: BranchName | None, number: int | None) -> Release:
        """Return the release that `rollback` would make live again; nothing changes.

        Raises ReleaseNotFound, BranchNotFound, AppNotFound, Conflict while a canary goes on.
        """
        chosen = await self._branch_to_roll_back(app, branch, number)
        found = await self._registry.app(app)
        if number is None and chosen == found.default_branch:
            await self._check_no_canary(app, chosen)
        if found.promoted and chosen == found.default_branch and number is None:
            return await self._live_behind(app, chosen)
        return await self._release_to_return_to(app, chosen, number)

    async def _live_behind(self, app: AppName, default: BranchName) -> Release:
        """Return the live release of the default branch, which visitors do not see. Raises ReleaseNotFound."""
        live = (await self._registry.snapshot()).live(app).get(default)
        if live is None:
            raise ReleaseNotFound(f"nothing of {default} of {app} is live to go back to; push it first")
        return live

    async def _end_promotion(self, app: AppName, winner: BranchName, default: BranchName, tell: Tell) -> Release:
        """Go back from the winner of a split, which visitors see in the default branch's place, to that branch."""
        live = await self._live_behind(app, default)
        await self._registry.end_promotion(app)
        log.info("promotion.ended", app=app, branch=default, winner=winner)
        tell(f"-----> Visitors of {app} see {default} again, release {live.number}, and not {winner}")
        await self._switch.follow(live, tell)
        await self._refs.settle(app, {default, CANARY})
        return live

    async def _check_no_canary(self, app: AppName, default: BranchName) -> None:
        """Raise Conflict where it is not clear which release is to be taken back."""
        canary = await self._registry.canary(app)
        if canary is not None and canary.stands and not canary.promoted:
            raise Conflict(
                f"release {canary.release.number} of {app} is given to a part of the visitors just now: "
                f"`balancer rollout abort {app}` takes it back; to roll {default} back below it name a release"
            )

    async def retreat(self, bad: Release, reason: str) -> Release | None:
        """Go back from a live release that fails to an older one that was live; None where it is live no more.

        Raises ReleaseNotFound where there is none to go back to, NotHealthy.
        """
        if bad.branch == CANARY:
            raise ReleaseNotFound("what was live on a canary before is another push: its rollout is what stops it")
        async with self._formations.deploying(bad.app, bad.branch, to_nobody):
            live = (await self._registry.snapshot()).live(bad.app).get(bad.branch)
            if live is None or live.id != bad.id:
                return None
            good = await self._registry.release_before(bad.app, bad.branch)
            if good.number > bad.number:
                raise ReleaseNotFound(f"release {bad.number} of {bad.app} was gone back to; an older one is not tried")
            # Of the same tree only the config vars can be what it died of: the app shall not have them again.
            with_config = good.tree == bad.tree
            return await self._return_to(good, to_nobody, with_config=with_config, failed=(bad, reason))

    async def _return_to(
        self, release: Release, tell: Tell, *, with_config: bool, failed: tuple[Release, str] | None = None
    ) -> Release:
        release, started = await self._revive(release, tell, with_config=with_config, failed=failed)
        await self._switch.follow(release, tell)
        await self._refs.settle(release.app, {release.branch, CANARY})
        try:
            await self._launcher.wait(started, release, tell)
        except NotHealthy as reason:  # visitors have it; what does not serve them is started again and again
            tell(f"       live, but not all of it is healthy: {reason}")
        return release

    async def _revive(
        self, release: Release, tell: Tell, *, with_config: bool, failed: tuple[Release, str] | None
    ) -> tuple[Release, tuple[Instance, ...]]:
        """Make a release that was live before live again: with the instances that it still has, else from its tree.

        With it comes what was started and not waited for.
        """
        if release.state is ReleaseState.DRAINING:
            reclaimed = await self._reconciler.reclaim(release, self._launcher, with_config=with_config, failed=failed)
            if reclaimed is not None:
                return reclaimed
            tell("       its instances are stopping; it is started anew")
        if not self._workspace.has_tree(release) or release.manifest is None:
            raise ReleaseNotFound(
                f"release {release.number} of {release.app} was cleared away; push {release.commit.short} again"
            )
        release = await self._registry.start_release(release.id, release.manifest)
        try:
            await self._launcher.launch(release, tell)
            return await self._registry.activate(release.id, with_config=with_config, failed=failed), ()
        except BaseException as reason:
            await self._switch.abandon(release, reason, keep_tree=True)
            raise

    async def _tell_of_config(self, release: Release, tell: Tell) -> None:
        """Say which config vars of the app a rollback changes."""
        now, then = await self._registry.config(release.app), await self._registry.release_config(release.id)
        changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
        if changed:
            tell(f"       config vars as they were then: {summary({key: then.get(key) for key in sorted(changed)})}")

    async def _branch_to_roll_back(self, app: AppName, branch: BranchName | None, number: int | None) -> BranchName:
        found = await self._registry.app(app)
        if number is not None:
            chosen: BranchName | None = (await self._release_numbered(app, number)).branch
        else:
            chosen = branch or found.default_branch
        if chosen is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        if chosen == CANARY:
            raise Conflict(
                f"a canary cannot be gone back to: `balancer rollout abort {app}` takes it back, and a push of its "
                "commit tries it again"
            )
        return chosen

    async def _release_to_return_to(self, app: AppName, branch: BranchName, number: int | None) -> Release:
        if number is None:
            return await self._registry.release_before(app, branch)
        release = await self._release_numbered(app, number)
        if release.state is ReleaseState.LIVE:
            raise ReleaseNotFound(
                f"release {number} of {app} is live already; `balancer releases {app}` shows the others"
            )
        if release.activated_at is None:
            raise ReleaseNotFound(
                f"release {number} of {app} never was live; `balancer releases {app}` shows those that were"
            )
        return release

    async def _release_numbered(self, app: AppName, number: int) -> Release:
        for release in await self._registry.releases(app, limit=1000):
            if release.number == number:
                return release
        raise ReleaseNotFound(f"{app} has no release {number}; `balancer releases {app}` shows those there are")
