"""Metrics declared by command, in the registry: each function a part of one transaction.

Invariant: an app has at most one of a name.
"""

from sqlalchemy import Connection, delete, insert, select

from balancer.domain.app import AppName
from balancer.domain.declaration import check_metrics
from balancer.domain.metric import Metric, MetricName
from balancer.errors import NotFound
from balancer.store import apps, rows, tables

_T = tables.metrics


def every(connection: Connection, app: AppName) -> tuple[Metric, ...]:
    """Return the metrics of an app, by name. Raises AppNotFound."""
    apps.get(connection, app)
    found = connection.execute(select(_T).where(_T.c.app == app).order_by(_T.c.name))
    return tuple(rows.metric(row.name, row.text) for row in found)


def put(connection: Connection, app: AppName, metric: Metric) -> None:
    """Add a metric, or replace the one of its name. Raises AppNotFound, InvalidMetric where there are too many."""
    others = [other for other in every(connection, app) if other.name != metric.name]
    check_metrics([*others, metric])
    connection.execute(delete(_T).where(_T.c.app == app, _T.c.name == metric.name))
    connection.execute(insert(_T).values(app=app, name=metric.name, text=rows.metric_text(metric)))


def remove(connection: Connection, app: AppName, name: MetricName) -> None:
    """Remove a metric. Raises AppNotFound, NotFound."""
    apps.get(connection, app)
    if not connection.execute(delete(_T).where(_T.c.app == app, _T.c.name == name)).rowcount:
        raise NotFound(
            f"{app} has no metric {name} that was set by command; `balancer metrics list {app}` shows where each is "
            "declared"
        )
