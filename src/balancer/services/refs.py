"""Refs: the branches of an app's repository point at what is live.

Invariant: the registry is the truth; a ref that says something else is mended, whatever moved it.
"""

from collections.abc import Iterable

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName
from balancer.errors import BalancerError
from balancer.services.interfaces import Repository
from balancer.services.registry import Registry

log = logs.named("refs")


class Refs:
    """Brings the refs to what the registry says."""

    def __init__(self, registry: Registry, repository: Repository) -> None:
        self._registry = registry
        self._repository = repository

    async def settle_at_start(self, app: AppName) -> None:
        """Settle all refs of an app; where that fails the platform starts all the same."""
        try:
            await self._repository.create(app)
            await self.settle(app)
        except BalancerError as reason:
            log.error("refs.not.settled", app=app, reason=str(reason))

    async def settle(self, app: AppName, branches: Iterable[BranchName] | None = None) -> None:
        """Make the refs of an app's branches (all of them by default) point at what is live; the others go."""
        live = (await self._registry.snapshot()).live(app)
        refs = await self._repository.refs(app)
        for branch in live.keys() | refs.keys() if branches is None else branches:
            release = live.get(branch)
            if release is None and branch in refs:
                await self._repository.delete_ref(app, branch)
                passed(CrashPoint.REF_DELETED)
                log.info("ref.deleted", app=app, branch=branch, commit=refs[branch])
            if release is not None and refs.get(branch) != release.commit:
                await self._repository.move_ref(app, branch, release.commit)
                passed(CrashPoint.REF_MOVED)
                log.info("ref.mended", app=app, branch=branch, commit=release.commit)
        default = (await self._registry.app(app)).default_branch
        if default:
            await self._repository.set_head(app, default)
