"""Arrivals: code that comes otherwise than by a push, as an archive or fetched from elsewhere, is deployed like one.

Invariants:
    * What arrives builds on what is live, and is deployed when it is its turn.
    * Only what an operator named is ever fetched.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from balancer.clock import Clock
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.push_mode import Mode
from balancer.domain.release import Release
from balancer.domain.remote import RemoteUrl
from balancer.errors import AlreadyLive, BuildFailed
from balancer.services.deploy import Deploys
from balancer.services.interfaces import Repository, Tell
from balancer.services.registry import Registry

_FIRST_BRANCH = BranchName("master")


class Arrivals:
    """Carries out deploys of archives and of other repositories."""

    def __init__(self, registry: Registry, repository: Repository, deploys: Deploys, *, clock: Clock) -> None:
        self._registry = registry
        self._repository = repository
        self._deploys = deploys
        self._clock = clock

    async def archive(
        self,
        app: AppName,
        branch: BranchName | None,
        archive: Path,
        *,
        message: str,
        author: str,
        tell: Tell,
        during_freeze: bool = False,
        asked: Mode | None = None,
    ) -> Release:
        """Deploy what a tar file holds. Raises InvalidInput, AppNotFound, and what a push raises."""

        async def make(parent: Commit | None) -> Commit:
            tell("-----> Taking the archive in")
            return await self._repository.commit_archive(
                app, archive, parent, message=message, author=author, at=self._clock()
            )

        chosen = await self.branch(app, branch)
        return await self._deploys.bring(app, chosen, make, tell, asked=asked, during_freeze=during_freeze)

    async def fetch(
        self,
        app: AppName,
        branch: BranchName | None,
        remote: RemoteUrl,
        ref: BranchName,
        tell: Tell,
        *,
        only_new: bool = False,
        during_freeze: bool = False,
        asked: Mode | None = None,
        fetched: Callable[[str | None], Awaitable[None]] | None = None,
    ) -> Release:
        """Deploy what a ref of another repository points at; `fetched` hears why it could not be fetched, or None.

        Raises BuildFailed, AppNotFound, what a push does, and with `only_new` AlreadyLive where that is live.
        """
        chosen = await self.branch(app, branch)

        async def make(live: Commit | None) -> Commit:
            tell(f"-----> Fetching {ref} from {remote.shown}")
            try:
                commit = await self._repository.fetch(app, remote, ref)
            except BuildFailed as reason:
                if fetched is not None:
                    await fetched(str(reason))
                raise
            if fetched is not None:
                await fetched(None)
            if only_new and commit == live:
                raise AlreadyLive(f"{commit.short}, what {ref} is there, is live on {chosen} already")
            return commit

        return await self._deploys.bring(app, chosen, make, tell, asked=asked, during_freeze=during_freeze)

    async def branch(self, app: AppName, named: BranchName | None) -> BranchName:
        """Return the branch to deploy to: the one named, else the default one. Raises AppNotFound."""
        return named or (await self._registry.app(app)).default_branch or _FIRST_BRANCH
