"""Merges that are waited for: of winners that visitors see, and that lack commits of the default branch.

Invariants:
    * It is what the end of the split told to type, for as long as that is to be done.
    * Git is asked once of each two commits: what one has in its history never changes.

Used by what shows the branches of an app.
"""

from balancer.domain.app import AppName, Commit
from balancer.domain.merge import Merge
from balancer.domain.split import CANARY
from balancer.services.interfaces import Repository
from balancer.services.registry import Registry


class Merges:
    """Says what people have to merge."""

    def __init__(self, registry: Registry, repository: Repository) -> None:
        self._registry = registry
        self._repository = repository
        self._known: dict[AppName, tuple[Commit, Commit, bool]] = {}
        """By app, of the two commits asked for last: whether the first has the second."""

    async def waiting(self, app: AppName) -> Merge | None:
        """Return what has to be merged before a winner becomes the default branch's release.

        None where no winner waits, or it becomes so by itself. Raises AppNotFound.
        """
        found = await self._registry.app(app)
        if found.promoted in (None, CANARY) or found.default_branch is None:
            return None
        live = (await self._registry.snapshot()).live(found.name)
        winner, ours = live.get(found.promoted), live.get(found.default_branch)
        if winner is None or ours is None or await self._contains(found.name, winner.commit, ours.commit):
            return None
        return Merge.of(winner, ours)

    async def _contains(self, app: AppName, commit: Commit, ancestor: Commit) -> bool:
        known = self._known.get(app)
        if known is None or known[:2] != (commit, ancestor):
            known = (commit, ancestor, await self._repository.contains(app, commit, ancestor))
            self._known[app] = known
        return known[2]
