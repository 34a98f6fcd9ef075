"""Metrics of an app: declared in the manifest of its default branch, and by command.

Invariants:
    * What is declared by command wins over the manifest, whenever either was said.
    * A split keeps those that it was begun with: what changes meanwhile counts from the next one on.
"""

from dataclasses import dataclass
from enum import Enum

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.declaration import check_metrics, overlaid
from balancer.domain.metric import Metric, MetricName
from balancer.domain.split import OVER, Split
from balancer.errors import NotFound
from balancer.services.registry import Registry

log = logs.named("metrics")


class Origin(Enum):
    """Where a metric is declared."""

    MANIFEST = "manifest"
    COMMAND = "command"
    SPLIT = "split"
    """Nowhere any more; the split that is not over goes on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A metric, and what the split that is not over makes of it."""

    origin: Origin
    metric: Metric
    """As it is declared now; with the origin `split` as that has it."""
    split: Split | None
    """The one that is not over."""

    @property
    def counted(self) -> Metric | None:
        """The metric of this name that the split counts; None where there is no split or it has none."""
        of_split = self.split.brief.metrics if self.split else ()
        return next((metric for metric in of_split if metric.name == self.metric.name), None)


class Metrics:
    """Carries out what an operator asks of metrics."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def declared(self, app: AppName) -> tuple[Metric, ...]:
        """Return every metric of an app as it is declared now, by name. Raises AppNotFound, InvalidMetric."""
        found = overlaid(await self._of_manifest(app), await self._registry.metrics(app))
        check_metrics(found)
        return found

    async def every(self, app: AppName) -> tuple[Standing, ...]:
        """Return every metric of an app, and those that only its split has. Raises AppNotFound."""
        by_command = await self._registry.metrics(app)
        found = overlaid(await self._of_manifest(app), by_command)
        split = await self._split(app)
        origins = dict.fromkeys(found, Origin.MANIFEST) | dict.fromkeys(by_command, Origin.COMMAND)
        everywhere = overlaid(split.brief.metrics if split else (), found)
        return tuple(
            Standing(origin=origins.get(metric, Origin.SPLIT), metric=metric, split=split) for metric in everywhere
        )

    async def one(self, app: AppName, name: MetricName) -> Standing:
        """Return one metric. Raises AppNotFound, NotFound."""
        found = next((each for each in await self.every(app) if each.metric.name == name), None)
        if found is None:
            raise NotFound(
                f"{app} has no metric {name}: declare it in balancer.toml, or with "
                f"`balancer metrics set {app} {name} …`"
            )
        return found

    async def set(self, app: AppName, metric: Metric) -> Standing:
        """Declare a metric, in the place of one of its name. Raises AppNotFound, InvalidMetric."""
        await self._registry.set_metric(app, metric)
        log.info("metric.set", app=app, metric=metric.name)
        return await self.one(app, metric.name)

    async def remove(self, app: AppName, name: MetricName) -> None:
        """Take a metric back that was declared by command; that of the manifest counts again.

        Raises AppNotFound, NotFound.
        """
        await self._registry.remove_metric(app, name)
        log.info("metric.removed", app=app, metric=name)

    async def _of_manifest(self, app: AppName) -> tuple[Metric, ...]:
        default = (await self._registry.app(app)).default_branch
        live = (await self._registry.snapshot()).live(app)
        release = live.get(default) if default else None
        return release.manifest.metrics if release and release.manifest else ()

    async def _split(self, app: AppName) -> Split | None:
        split = (await self._registry.snapshot()).split_of(app)
        return None if split is None or split.state in OVER else split
