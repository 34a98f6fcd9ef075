"""Twins: a branch that is what another is, for an A/A split, in which nothing differs.

Invariants:
    * A twin is the same commit, tree and config vars as its control; nothing is built.
    * It goes live in the transaction in which its split begins, and is taken down in the one in which that ends, so
      neither is ever without the other.
"""

from dataclasses import replace

from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppMode, AppName, BranchName
from balancer.domain.release import Release
from balancer.domain.split import TWIN, Brief, Split
from balancer.domain.weights import WHOLE
from balancer.errors import BranchNotFound, Conflict, InvalidSplit, SplitRunning
from balancer.services.experiment import Experiments
from balancer.services.interfaces import Tell
from balancer.services.launch import Launcher
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.switch import Switch
from balancer.services.turns import Turns

_EVEN = WHOLE // 2


class Twins:
    """Begins A/A splits."""

    def __init__(
        self,
        registry: Registry,
        reconciler: Reconciler,
        launcher: Launcher,
        turns: Turns,
        switch: Switch,
        refs: Refs,
        experiments: Experiments,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._launcher = launcher
        self._turns = turns
        self._switch = switch
        self._refs = refs
        self._experiments = experiments

    async def start(self, app: AppName, control: BranchName | None, brief: Brief, tell: Tell) -> Split:
        """Begin an even split of a branch (what visitors see, where none is named) and a twin of it.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidSplit, InvalidMetric, Conflict for an app that is
        stopped, NotHealthy, PortsExhausted; then nothing has changed.
        """
        brief = replace(brief, aa=True, twin=TWIN)
        async with self._turns.of(app, None, tell):  # no push makes the two differ meanwhile
            ours = await self._control(app, control)
            await self._experiments.frozen(app, brief)  # what is wrong with it is said before anything starts
            twin = await self._open(ours, tell)
            weights = {ours.branch: _EVEN, TWIN: _EVEN}
            try:
                if twin is not None:
                    await self._launcher.launch(twin, tell)
                split = await self._experiments.begin(app, weights, ours.branch, brief, activating=twin)
                passed(CrashPoint.ACTIVATED)
            except BaseException as reason:
                if twin is not None:
                    await self._switch.abandon(twin, reason, keep_tree=True)
                raise
            if twin is None:
                await self._reconciler.converge()
            else:
                await self._switch.follow(twin, tell)
                await self._refs.settle(app, [TWIN])
            return split

    async def _control(self, app: AppName, asked: BranchName | None) -> Release:
        found = await self._registry.app(app)
        if found.mode is AppMode.STOPPED:
            raise Conflict(f"{app} is stopped; start it with `balancer start {app}`, and try again")
        snapshot = await self._registry.snapshot()
        if (running := snapshot.split_of(app)) is not None:
            raise SplitRunning(app, running.id)
        branch = asked or found.served_branch
        if branch is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        if branch == TWIN:
            raise InvalidSplit(f"{TWIN} is what the twin of an A/A split is called: name another branch as its control")
        if branch not in snapshot.live(app):
            raise BranchNotFound(f"{app} has no live branch {branch}; push it first (`git push balancer {branch}`)")
        return snapshot.live(app)[branch]

    async def _open(self, ours: Release, tell: Tell) -> Release | None:
        """Return a starting twin; None where what is live on its branch is one already."""
        there = (await self._registry.snapshot()).live(ours.app).get(TWIN)
        if there is not None and await self._same(there, ours):
            return None
        subject = f"A/A of {ours.branch}: {ours.subject}"
        twin = await self._registry.open_twin(ours, TWIN, subject=subject, author=ours.author)
        tell(f"-----> {ours.app} {TWIN}: release {twin.number} is what release {ours.number} is")
        return twin

    async def _same(self, there: Release, ours: Release) -> bool:
        config, wanted = [await self._registry.release_config(each.id) for each in (there, ours)]
        return there.commit == ours.commit and config == wanted
