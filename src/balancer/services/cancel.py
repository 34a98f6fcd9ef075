"""Cancelling: a deploy under way is broken off by somebody else than who waits for it.

Invariants:
    * Only what has not gone live can be cancelled.
    * Whoever waits for the deploy is told who cancelled it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from balancer import logs
from balancer.domain.app import AppName, BranchName
from balancer.errors import Conflict, DeployCancelled, NotFound

T = TypeVar("T")
log = logs.named("deploy")


class Cancellations:
    """The deploys under way, at most one a branch."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[AppName, BranchName], asyncio.Task[Any]] = {}
        self._cancelled_by: dict[asyncio.Task[Any], str] = {}

    async def run(self, app: AppName, branch: BranchName, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` does, which may be cancelled meanwhile. Raises DeployCancelled, and what `work` does."""
        task = asyncio.ensure_future(work)
        self._under_way[app, branch] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._cancelled_by:
                raise DeployCancelled(app, branch, self._cancelled_by[task]) from None
            raise
        finally:
            del self._under_way[app, branch]
            self._cancelled_by.pop(task, None)

    def cancel(self, app: AppName, branch: BranchName | None, by: str) -> BranchName:
        """Cancel the deploy of a branch, of the only one under way where none is named; return the branch.

        Raises NotFound where there is none, Conflict where it has to be named.
        """
        under_way = [each for of_app, each in self._under_way if of_app == app]
        chosen = [each for each in under_way if branch in (None, each)]
        if not chosen:
            others = f"; under way: {', '.join(under_way)}" if under_way else ""
            raise NotFound(f"no deploy of {app}{f' {branch}' if branch else ''} is under way{others}")
        if len(chosen) > 1:
            raise Conflict(f"several deploys of {app} are under way: name one of {', '.join(chosen)}")
        task = self._under_way[app, chosen[0]]
        self._cancelled_by[task] = by
        task.cancel()
        log.info("release.cancelled", app=app, branch=chosen[0], by=by)
        return chosen[0]
