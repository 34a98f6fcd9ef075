"""The life of a split: started, given new weights, ended.

Invariants:
    * A split is between branches that are live, and an app has one running split at most.
    * When a call returns, the proxy does what it asked for.
"""

from collections.abc import Mapping

from balancer import logs
from balancer.domain.app import AppName, BranchName
from balancer.domain.split import Split
from balancer.errors import InvalidWeights
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry

log = logs.named("split")
# N* of the statistics until the ledger can say how many visitors 14 days bring: its least value.
_EXPECTED_VISITORS = 5000


class Experiments:
    """Carries out what an operator asks of splits."""

    def __init__(self, registry: Registry, reconciler: Reconciler) -> None:
        self._registry = registry
        self._reconciler = reconciler

    async def start(self, app: AppName, weights: Mapping[BranchName, int], control: BranchName | None) -> Split:
        """Begin a split; the control is the default branch where it takes part, else the first that is named.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights.
        """
        default = (await self._registry.app(app)).default_branch
        chosen = control or (default if default is not None and default in weights else next(iter(weights)))
        if chosen not in weights:
            raise InvalidWeights(f"the control {chosen} must be one of the branches of the split: {', '.join(weights)}")
        split = await self._registry.start_split(app, weights, chosen, _EXPECTED_VISITORS)
        log.info("split.started", app=app, split=split.id, control=chosen, weights=dict(weights))
        await self._reconciler.converge()
        return split

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Give the running split new weights. Raises SplitNotFound, BranchNotFound, InvalidWeights."""
        split = await self._registry.set_weights(app, weights)
        log.info("split.weighted", app=app, split=split.id, phase=split.phase.number, weights=dict(weights))
        await self._reconciler.converge()
        return split

    async def cancel(self, app: AppName) -> Split:
        """End the running split: everyone sees the default branch again. Raises SplitNotFound."""
        split = await self._registry.cancel_split(app)
        log.info("split.cancelled", app=app, split=split.id)
        await self._reconciler.converge()
        return split
