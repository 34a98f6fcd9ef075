"""Metrics in the registry, as its callers see them; their Protocol tells what each method means.

Invariant: a method is one transaction.
"""

from balancer.domain.app import AppName
from balancer.domain.metric import Metric, MetricName
from balancer.store import metrics
from balancer.store.transactions import Transactions


class MetricRecords(Transactions):
    """What the registry knows of metrics that were declared by command."""

    async def metrics(self, app: AppName) -> tuple[Metric, ...]:
        """Return the metrics of an app that were declared by command, by name. Raises AppNotFound."""
        return await self._transact(metrics.every, app)

    async def set_metric(self, app: AppName, metric: Metric) -> None:
        """Declare a metric, in the place of one of its name. Raises AppNotFound, InvalidMetric."""
        await self._transact(metrics.put, app, metric)

    async def remove_metric(self, app: AppName, name: MetricName) -> None:
        """Take a metric back that was declared by command. Raises AppNotFound, NotFound."""
        await self._transact(metrics.remove, app, name)
