"""Promotions: what has won a split becomes the release of the default branch.

Invariants:
    * From the end of the split on visitors see the winner: in the default branch's place, and then as its release.
    * The ref of the default branch only moves forward; where it cannot, people are told what to merge.
"""

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName
from balancer.domain.merge import Merge
from balancer.domain.release import Release
from balancer.domain.split import CANARY
from balancer.errors import BranchNotFound
from balancer.services.formation import Formations
from balancer.services.interfaces import Repository, Tell
from balancer.services.launch import Launcher
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.switch import Switch

log = logs.named("promotion")


class Promotions:
    """Carries out promotions."""

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        launcher: Launcher,
        formations: Formations,
        switch: Switch,
        refs: Refs,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._launcher = launcher
        self._formations = formations
        self._switch = switch
        self._refs = refs

    async def promote(self, app: AppName, tell: Tell) -> Release | Merge:
        """Make what is promoted the default branch's release, or tell and return what has to be merged before.

        Raises AppNotFound, BranchNotFound where nothing is promoted, NotHealthy, PortsExhausted; then visitors go on
        seeing the winner in the default branch's place.
        """
        default = (await self._registry.app(app)).default_branch
        if default is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        async with self._formations.deploying(app, default, tell):
            return await self.promote_in_turn(app, default, tell)

    async def promote_in_turn(self, app: AppName, default: BranchName, tell: Tell) -> Release | Merge:
        """Do the same for a caller whose turn it is on the default branch."""
        winner = (await self._registry.app(app)).promoted
        live = (await self._registry.snapshot()).live(app)
        if winner is None or winner not in live:
            raise BranchNotFound(f"no winner of a split waits to become the release of {default} of {app}")
        ours, theirs = live.get(default), live[winner]
        # Whoever pushed a canary has said what becomes of the commits before, and its ref was accepted.
        if ours and winner != CANARY and not await self._repository.contains(app, theirs.commit, ours.commit):
            merge = Merge.of(theirs, ours)
            _tell_what_to_merge(tell, merge)
            return merge
        return await self._move(theirs, default, tell)

    async def _move(self, winner: Release, default: BranchName, tell: Tell) -> Release:
        subject = f"Promote {winner.branch}: {winner.subject}"
        release = await self._registry.open_twin(winner, default, subject=subject, author=winner.author)
        tell(f"-----> {winner.app} {default}: release {release.number} is what release {winner.number} is")
        try:
            await self._launcher.launch(release, tell)
            release = await self._registry.activate(release.id)
            passed(CrashPoint.ACTIVATED)
        except BaseException as reason:
            await self._switch.abandon(release, reason, keep_tree=True)
            raise
        log.info("split.promoted", app=release.app, branch=default, winner=winner.branch, release=release.number)
        await self._switch.follow(release, tell)
        await self._refs.settle(release.app, [default, CANARY] if winner.branch == CANARY else [default])
        return release


def _tell_what_to_merge(tell: Tell, merge: Merge) -> None:
    tell(f"       {merge.default} has commits that {merge.winner} has not, so it is not moved. To make it one line:")
    for command in merge.commands:
        tell(f"           {command}")
    tell(f"       Until that push is live, visitors see {merge.winner} in the place of {merge.default}.")
