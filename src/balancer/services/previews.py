"""Previews: a branch of an app shown to those who have the app's key, and counted for nobody.

Invariant: a key that was replaced shows nothing any more.
"""

from collections.abc import Callable

from balancer import logs
from balancer.domain.app import App, AppName, BranchName, PreviewKey
from balancer.errors import BranchNotFound
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry

log = logs.named("previews")


class Previews:
    """Gives out what shows a branch."""

    def __init__(self, registry: Registry, reconciler: Reconciler, new_key: Callable[[], PreviewKey]) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._new_key = new_key

    async def of(self, app: AppName, *, fresh: bool = False) -> tuple[App, tuple[BranchName, ...]]:
        """Return an app that has a key, and its live branches; with `fresh` the key is another one than before.

        Raises AppNotFound, BranchNotFound where nothing is live.
        """
        found = await self._registry.app(app)
        live = tuple(sorted((await self._registry.snapshot()).live(app)))
        if not live:
            raise BranchNotFound(f"nothing of {app} is live that could be looked at; push a branch first")
        if fresh or found.preview_key is None:
            found = await self._registry.set_preview_key(app, self._new_key())
            log.info("preview.key", app=app)
            await self._reconciler.converge()
        return found, live
