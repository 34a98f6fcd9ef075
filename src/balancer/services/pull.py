"""Pulls: an app follows a repository elsewhere.

Invariants:
    * Only the URL that an operator has set is ever fetched.
    * What is live already is not deployed again, what is gone not taken down: a call that comes twice does nothing the
      second time.
    * What a call asks for and a freeze refuses is told: nobody waits for its answer. So is, once until it can,
      that what is followed cannot be fetched.
    * What a call has begun is broken off when the platform stops, and is found in the log whatever becomes of it.
"""

import asyncio
import secrets
from collections.abc import Coroutine

from balancer import logs
from balancer.clock import Clock
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.fetches import Fetch
from balancer.domain.notice import was_refused
from balancer.domain.release import Release
from balancer.domain.remote import RemoteUrl
from balancer.domain.source import PullSource
from balancer.domain.webhook import Call, Deleted, Ignored, Pushed
from balancer.errors import AlreadyLive, BalancerError, BranchNotFound, Frozen
from balancer.services.arrivals import Arrivals
from balancer.services.branches import Branches
from balancer.services.interfaces import TO_NOBODY, Tell, Teller, to_nobody
from balancer.services.registry import Registry

log = logs.named("pull")
_SECRET_BYTES = 24


class Pulls:
    """Carries out what an operator asks of sources, and what providers tell."""

    def __init__(
        self,
        registry: Registry,
        arrivals: Arrivals,
        branches: Branches,
        *,
        clock: Clock,
        teller: Teller = TO_NOBODY,
    ) -> None:
        self._registry = registry
        self._arrivals = arrivals
        self._branches = branches
        self._clock = clock
        self._teller = teller
        self._under_way: set[asyncio.Task[None]] = set()
        """Held, because the loop itself holds tasks only weakly."""

    async def set(self, app: AppName, remote: RemoteUrl, branches: tuple[BranchName, ...]) -> PullSource:
        """Let an app follow a repository; the secret of one before stays. Raises AppNotFound."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        source = PullSource(app=app, remote=remote, secret=secret, branches=branches, created_at=self._clock())
        source = await self._registry.set_source(source)
        log.info("source.set", app=app, url=remote.shown, branches=branches)
        return source

    async def remove(self, app: AppName) -> None:
        """Follow no longer. Raises NotFound, AppNotFound."""
        await self._registry.remove_source(app)
        log.info("source.removed", app=app)

    async def pull(
        self, app: AppName, branch: BranchName | None, tell: Tell, *, during_freeze: bool = False
    ) -> Release:
        """Fetch a branch of the source, the default one unless named, and deploy what is new.

        Raises AlreadyLive, NotFound, BuildFailed, and what a push does.
        """
        source = await self._registry.source(app)
        followed = branch or (source.branches[0] if len(source.branches) == 1 else None)
        chosen = await self._arrivals.branch(app, followed)

        async def fetched(failure: str | None) -> None:
            ended = Fetch(app=app, branch=chosen, url=source.remote.shown, failure=failure)
            try:
                await self._registry.note_fetch(ended)
            except BalancerError as reason:  # the next fetch is another chance
                log.warning("pull.not.noted", app=app, branch=chosen, reason=str(reason))

        return await self._arrivals.fetch(
            app, chosen, source.remote, chosen, tell, only_new=True, during_freeze=during_freeze, fetched=fetched
        )

    def follow(self, source: PullSource, call: Call) -> str | None:
        """Begin in the background what a call asks for; return why nothing is to be done where nothing is."""
        match call:
            case Ignored(reason):
                return reason
            case Pushed(branch) | Deleted(branch) if not source.follows(branch):
                return f"{branch} is not followed; {', '.join(source.branches)} is"
            case Pushed(branch, commit):
                pull = self._follow_push(source.app, branch, commit)
                self._begin(source.app, branch, commit, pull, needless=AlreadyLive)
            case Deleted(branch):
                removal = self._branches.remove_and_settle(source.app, branch, to_nobody)
                self._begin(source.app, branch, None, removal, needless=BranchNotFound)
        return None

    async def _follow_push(self, app: AppName, branch: BranchName, commit: Commit) -> Release:
        try:
            return await self.pull(app, branch, to_nobody)
        except Frozen as reason:
            await self._teller.tell(was_refused(app, branch, commit, str(reason)))
            raise

    async def end(self) -> None:
        """Break off what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(
        self,
        app: AppName,
        branch: BranchName,
        commit: Commit | None,
        work: Coroutine[None, None, Release],
        *,
        needless: type[BalancerError],
    ) -> None:
        """Let `work` be done; `needless` is the error that says that there was nothing to do."""
        log.info("pull.begun", app=app, branch=branch, commit=commit)
        task = asyncio.ensure_future(self._carried_out(app, branch, work, needless))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _carried_out(
        self,
        app: AppName,
        branch: BranchName,
        work: Coroutine[None, None, Release],
        needless: type[BalancerError],
    ) -> None:
        try:
            release = await work
        except needless as reason:
            log.info("pull.needless", app=app, branch=branch, reason=str(reason))
        except BalancerError as reason:
            log.error("pull.failed", app=app, branch=branch, reason=str(reason))
        except Exception as error:  # noqa: BLE001 - nobody waits for it, so it is told here or nowhere
            log.error("pull.broke", app=app, branch=branch, error=error)
        else:
            log.info("pull.done", app=app, branch=branch, release=release.number)
