"""The metrics of balancer.toml: a table `[metrics.NAME]` for each."""

from balancer.domain.declaration import KEYS, declared
from balancer.domain.metric import Metric
from balancer.runner.tree_file import Table, named


def metrics_of(tables: Table) -> tuple[Metric, ...]:
    """Return the metrics that the tables below declare, by name. Raises InvalidManifest."""
    return tuple(_metric(name, tables.table(name)) for name in sorted(tables.values))


def _metric(name: str, table: Table) -> Metric:
    table.only(KEYS)
    with named(table.name):
        return declared(name, table.values)
