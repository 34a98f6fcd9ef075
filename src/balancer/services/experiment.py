"""The life of a split: started, given new weights, paused, ended.

Invariants:
    * A split is between branches that are live, and an app has one that is not over at most.
    * What decides it, and every metric, is what was declared when it began.
    * When a call returns, the proxy does what it asked for.
"""

from collections.abc import Mapping
from dataclasses import replace

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName
from balancer.domain.release import Release
from balancer.domain.split import Brief, Split, control_of
from balancer.errors import BranchNotFound, InvalidSplit
from balancer.services.expectation import Expectations
from balancer.services.interfaces import Tell
from balancer.services.known_metrics import KnownMetrics
from balancer.services.promotion import Promotions
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.registry import Registry

log = logs.named("split")
_NO_BRIEF = Brief()


class Experiments:
    """Carries out what an operator asks of splits."""

    def __init__(
        self,
        registry: Registry,
        reconciler: Reconciler,
        promotions: Promotions,
        metrics: KnownMetrics,
        refs: Refs,
        expectations: Expectations,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._promotions = promotions
        self._metrics = metrics
        self._refs = refs
        self._expectations = expectations
        self._clock = clock

    async def start(
        self,
        app: AppName,
        weights: Mapping[BranchName, int],
        control: BranchName | None,
        brief: Brief = _NO_BRIEF,
    ) -> Split:
        """Begin a split; the control is what visitors see where that takes part, else the first that is named.

        It keeps the metrics that are declared now, whatever `brief` has. Raises SplitRunning, BranchNotFound,
        AppNotFound, InvalidWeights, InvalidSplit, MetricNotFound.
        """
        chosen = control_of(weights, control, (await self._registry.app(app)).served_branch)
        split = await self.begin(app, weights, chosen, brief)
        await self._reconciler.converge()
        return split

    async def begin(
        self,
        app: AppName,
        weights: Mapping[BranchName, int],
        control: BranchName,
        brief: Brief,
        *,
        activating: Release | None = None,
    ) -> Split:
        """Begin a split in the registry, and make a release live with it; the proxy is yet to be told.

        Raises what `start` does, and IllegalTransition.
        """
        frozen = await self.frozen(app, brief, activating=activating)
        release_id = activating.id if activating else None
        split = await self._registry.start_split(
            app, weights, control, await self._expectations.visitors(app), frozen, activating=release_id
        )
        log.info("split.started", app=app, split=split.id, control=control, weights=dict(weights))
        return split

    async def frozen(self, app: AppName, brief: Brief, *, activating: Release | None = None) -> Brief:
        """Return a brief with the metrics that are declared now; `activating` is what goes live with it.

        Raises InvalidSplit, MetricNotFound, InvalidMetric, AppNotFound.
        """
        if brief.decide_at is not None and brief.decide_at <= self._clock():
            raise InvalidSplit(f"the decision is to be in the future, and {brief.decide_at:%Y-%m-%d %H:%M} UTC is over")
        pushed = activating.manifest.metrics if activating and activating.manifest else ()
        return replace(brief, metrics=await self._metrics.declared(app, brief.metric, pushed))

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Give the split new weights. Raises SplitNotFound, BranchNotFound, InvalidWeights."""
        split = await self._registry.set_weights(app, weights)
        log.info("split.weighted", app=app, split=split.id, phase=split.phase.number, weights=dict(weights))
        await self._reconciler.converge()
        return split

    async def pause(self, app: AppName) -> Split:
        """Assign nobody new; who has a variant keeps it. Raises SplitNotFound, IllegalTransition."""
        split = await self._registry.pause_split(app)
        log.info("split.paused", app=app, split=split.id)
        await self._reconciler.converge()
        return split

    async def resume(self, app: AppName) -> Split:
        """Assign visitors again. Raises SplitNotFound, IllegalTransition."""
        split = await self._registry.resume_split(app)
        log.info("split.resumed", app=app, split=split.id)
        await self._reconciler.converge()
        return split

    async def reshuffle(self, app: AppName) -> Split:
        """Begin the split anew with another id, so that everyone is assigned anew.

        Raises SplitNotFound, InvalidSplit where it is that of a canary.
        """
        split = await self._registry.reshuffle_split(app)
        log.info("split.reshuffled", app=app, split=split.id)
        await self._reconciler.converge()
        return split

    async def cancel(self, app: AppName) -> Split:
        """End the split: everyone sees the default branch again. Raises SplitNotFound."""
        split = await self._registry.cancel_split(app)
        log.info("split.cancelled", app=app, split=split.id)
        await self._end(split)
        return split

    async def conclude(self, app: AppName, winner: BranchName, tell: Tell) -> Split:
        """End the split: everyone sees the winner, and its release becomes the default branch's.

        Raises SplitNotFound, BranchNotFound; once it is concluded NotHealthy and PortsExhausted where the default
        branch does not get its release: visitors see the winner all the same.
        """
        split = await self._registry.conclude_split(app, winner)
        log.info("split.concluded", app=app, split=split.id, winner=winner)
        await self._end(split)
        tell(f"-----> The split {split.id} of {app} is over: everyone sees {winner}")
        if (await self._registry.app(app)).promoted is not None:
            try:
                await self._promotions.promote(app, tell)
            except BranchNotFound:  # somebody has pushed the default branch meanwhile: that is what is wanted now
                tell("       the default branch got another release meanwhile")
        return split

    async def _end(self, split: Split) -> None:
        """Let the proxy know that a split is over, and git that what was made for it is."""
        twin = split.brief.twin
        if twin is not None:
            passed(CrashPoint.TWIN_REMOVED)
        await self._reconciler.converge()
        if twin is not None:
            await self._refs.settle(split.app, [twin])
        if split.brief.canary is not None:
            await self._refs.settle_default(split.app)
