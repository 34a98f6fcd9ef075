"""Refs: the branches of an app's repository point at what is live.

Invariants:
    * The registry is the truth; a ref that says something else is mended, whatever moved it.
    * The default branch's points at its canary as long as that stands: it was accepted, and will be live or taken back.
    * While a push waits for its deploy, git itself moves the ref; nobody else does.
"""

import asyncio
from collections.abc import Iterable

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.split import CANARY
from balancer.errors import BalancerError
from balancer.services.interfaces import Repository, to_nobody
from balancer.services.rollout_registry import RolloutRegistry
from balancer.services.turns import Turns

log = logs.named("refs")
# 5 s: longer than git takes, and nobody has to wait for the deploy that has its turn.
_PATIENCE_SECONDS = 5.0


class Refs:
    """Brings the refs to what the registry says."""

    def __init__(self, registry: RolloutRegistry, repository: Repository, turns: Turns) -> None:
        self._registry = registry
        self._repository = repository
        self._turns = turns
        self._settling: set[asyncio.Task[None]] = set()
        """Held, because the loop itself holds tasks only weakly."""

    async def wanted(self, app: AppName) -> dict[BranchName, Commit]:
        """Return the commit that the ref of each branch is to point at. Raises AppNotFound."""
        found, canary = await self._registry.app(app), await self._registry.canary(app)
        live = (await self._registry.snapshot()).live(app)
        commits = {branch: release.commit for branch, release in live.items()}
        if canary is not None and canary.stands and found.default_branch:
            commits[found.default_branch] = canary.release.commit
        return commits

    async def settle_at_start(self, app: AppName) -> None:
        """Settle all refs of an app; where that fails the platform starts all the same."""
        try:
            await self._repository.create(app)
            await self.settle(app)
        except BalancerError as reason:
            log.error("refs.not.settled", app=app, reason=str(reason))

    async def settle(self, app: AppName, branches: Iterable[BranchName] | None = None) -> None:
        """Make the refs of an app's branches (all of them by default) point at what is wanted; the others go."""
        wanted = await self.wanted(app)
        refs = await self._repository.refs(app)
        for branch in wanted.keys() | refs.keys() if branches is None else branches:
            commit = wanted.get(branch)
            if commit is None and branch in refs:
                await self._repository.delete_ref(app, branch)
                passed(CrashPoint.REF_DELETED)
                log.info("ref.deleted", app=app, branch=branch, commit=refs[branch])
            if commit is not None and refs.get(branch) != commit:
                await self._repository.move_ref(app, branch, commit)
                passed(CrashPoint.REF_MOVED)
                log.info("ref.mended", app=app, branch=branch, commit=commit)
        default = (await self._registry.app(app)).default_branch
        if default:
            await self._repository.set_head(app, default)

    async def settle_default(self, app: AppName) -> None:
        """Settle the default branch, and its canary, once no deploy of it is under way; return then, or soon.

        For what happens beside pushes: a ref that moved before git moves it would let git refuse the push. What is
        deployed meanwhile settles them itself.
        """
        task = asyncio.ensure_future(self._settled_in_turn(app))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.wait([task], timeout=_PATIENCE_SECONDS)

    async def _settled_in_turn(self, app: AppName) -> None:
        try:
            default = (await self._registry.app(app)).default_branch
            if default is None:
                return
            before = (await self.wanted(app)).get(default)
            async with self._turns.of(app, default, to_nobody):
                if (await self.wanted(app)).get(default) == before:
                    await self.settle(app, [default, CANARY])
        except BalancerError as reason:  # the next push settles them, and the next start
            log.error("refs.not.settled", app=app, reason=str(reason))
