"""Branches: taken down, and made the default one.

Invariants:
    * Taking one down is one transaction; its requests in flight finish, and its visitors see the control.
    * The ref goes with the branch.
"""

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import App, AppName, BranchName, Commit
from balancer.domain.release import Release
from balancer.domain.split import Split, SplitState
from balancer.domain.weights import shares
from balancer.errors import ProxyFailed, RefMoved
from balancer.services.interfaces import Tell
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.switch import Switch
from balancer.services.turns import Turns

log = logs.named("branches")


class Branches:
    """Carries out what an operator asks of branches."""

    def __init__(
        self,
        registry: Registry,
        reconciler: Reconciler,
        turns: Turns,
        refs: Refs,
        switch: Switch,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._turns = turns
        self._refs = refs
        self._switch = switch

    async def remove(self, app: AppName, branch: BranchName, tell: Tell, *, before: Commit | None = None) -> Release:
        """Take a branch down; `before` is what a pusher believed to be live on it.

        Raises BranchInUse, BranchNotFound, RefMoved, AppNotFound; then nothing has changed.
        """
        async with self._turns.of(app, branch, tell):
            live = (await self._registry.snapshot()).live(app).get(branch)
            if before is not None and live is not None and live.commit != before:
                raise RefMoved(f"{branch} moved while this push waited: fetch, see what is there now, and push again")
            release, split = await self._registry.remove_branch(app, branch)
            passed(CrashPoint.BRANCH_REMOVED)
            log.info("branch.removed", app=app, branch=branch, release=release.number)
            tell(f"-----> Taken down: {app} {branch}; release {release.number} finishes its requests, then stops")
            if split is not None:
                tell(f"       {_changed(split)}")
            try:
                await self._reconciler.converge()
            except ProxyFailed as reason:  # the registry has it, and the reconciler goes on trying
                tell(f"       the proxy has not followed yet and is asked again: {reason}")
                self._reconciler.wake()
            await self._switch.prune(app, branch, 0)  # the one that drains is the way back
            return release

    async def remove_and_settle(self, app: AppName, branch: BranchName, tell: Tell) -> Release:
        """Take a branch down as `remove` does, and its ref with it."""
        release = await self.remove(app, branch, tell)
        await self._refs.settle(app, [branch])
        return release

    async def set_default(self, app: AppName, branch: BranchName) -> App:
        """Make a live branch what visitors see outside a split.

        Raises DomainTaken, BranchInUse while there is a canary, BranchNotFound, AppNotFound.
        """
        changed = await self._registry.set_default_branch(app, branch)
        log.info("branch.default", app=app, branch=branch)
        await self._refs.settle(app, [branch])
        await self._reconciler.converge()
        return changed

    async def live(self, app: AppName) -> dict[BranchName, Release]:
        """Return the live release of each branch, by name. Raises AppNotFound."""
        await self._registry.app(app)
        return dict(sorted((await self._registry.snapshot()).live(app).items()))


def _changed(split: Split) -> str:
    if split.state is SplitState.CANCELLED:
        return f"the split {split.id} is over: only its control {split.control} was left"
    return f"the split {split.id} goes on without it: {shares(split.phase.weights)}"
