"""Reports of splits: asked of the ledger, and those of splits that are over kept for good.

Invariants:
    * The report of a split that is over is made once, as of its end, and never changes.
    * A look that shows a decision is kept before the report is given to anybody.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import TypeAdapter

from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone, offsets
from balancer.domain.metric import Metric, MetricName, implied
from balancer.domain.split import OVER, Split, SplitId
from balancer.errors import NotFound
from balancer.services.breakdown import Breakdown, make_breakdown
from balancer.services.interfaces import TO_NOBODY, Ledger, Teller
from balancer.services.looks import KeptLook, read, text_of
from balancer.services.measures import measure_of
from balancer.services.outcome import branches_of
from balancer.services.registry import Registry
from balancer.services.release_report import ReleaseReport, marks, release_report
from balancer.services.report import Measured, Report, Seen, as_of, make_report, measured_of
from balancer.services.time_zone import zone_of
from balancer.services.verdict_notices import alarm_notice, verdict_notice
from balancer.stats.cells import SplitCells, SplitQuestion

# 1,000: more than a branch sees while a split runs. What is older is shown without its number.
_RELEASES = 1000
_REPORT = TypeAdapter(Report)


class Reports:
    """Answers how the split of an app stands."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        clock: Callable[[], datetime],
        timezone: TimeZone,
        *,
        teller: Teller = TO_NOBODY,
    ) -> None:
        """Days are those of `timezone` where an app does not say its own."""
        self._teller = teller
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._timezone = timezone

    async def of(self, app: AppName, split: SplitId | None = None) -> Report:
        """Return the report of a split; none named: of what is not over, else of what ended last.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        return (await self.with_cells(app, split))[0]

    async def with_cells(self, app: AppName, split: SplitId | None = None) -> tuple[Report, SplitCells | None]:
        """Return the report of a split, and the cells that it was made of just now; None where it was kept.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        found = await self._registry.split(app, split)
        if found.state not in OVER:
            seen = await self._see(found, as_of(found, self._clock()), keep_decision=True)
            return seen.report, seen.cells
        kept = await self._registry.kept_report(found.id)
        if kept is None:
            made = await self.again(app, found.id)
            kept = await self._registry.keep_report(found.id, _REPORT.dump_json(made).decode())
        return _REPORT.validate_json(kept), None

    async def again(self, app: AppName, split: SplitId | None = None) -> Report:
        """Return the report of a split, made again from the ledger as of the same time.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        found = await self._registry.split(app, split)
        return (await self._see(found, as_of(found, self._clock()))).report

    async def by_release(self, app: AppName, split: SplitId | None = None) -> ReleaseReport:
        """Return a split, cut by the release that each visitor was exposed by.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        found = await self._registry.split(app, split)
        releases = await self._registry.releases(app, limit=_RELEASES)
        tally = await self._ledger.releases(
            app=app,
            split=found.id,
            phases=[phase.number for phase in found.phases],
            variants=[branch.slug for branch in branches_of(found)],
            marks=marks(found, releases),
        )
        return release_report(found, tally, releases)

    async def by_dimension(
        self, app: AppName, dimension: str, metric: MetricName | None = None, split: SplitId | None = None
    ) -> Breakdown:
        """Return one metric of a split, the one that decides where none is named, cut by a dimension.

        Raises AppNotFound, SplitNotFound, NotFound, LedgerUnavailable.
        """
        found = await self._registry.split(app, split)
        chosen = await self._metric(found, metric)
        question = await self._question(found, as_of(found, self._clock()), (chosen,), dimension)
        return make_breakdown(found, chosen, dimension, await self._ledger.cells(question))

    async def keep_look(self, split: Split, at: datetime) -> None:
        """Take a look as of `at`, and keep it. Raises LedgerUnavailable."""
        seen = await self._see(split, at)
        if seen.look is not None:
            await self._keep(split, at, seen.look, seen.report)

    async def _keep(self, split: Split, at: datetime, look: KeptLook, report: Report) -> None:
        """Keep a look; where it made the verdict, that is told in the same transaction, and so exactly once."""
        told = verdict_notice(split, report, at)
        await self._registry.keep_look(split.id, at, text_of(look), [told] if told else [])

    async def _see(self, split: Split, at: datetime, *, keep_decision: bool = False) -> Seen:
        measured = measured_of(split, await self._ledger.names(split.app))
        question = await self._question(split, at, tuple(each.metric for each in measured))
        cells, intake = await asyncio.gather(self._ledger.cells(question), self._ledger.intake(split.app))
        kept = [look for look in map(read, await self._registry.looks(split.id)) if look.at < _milliseconds(at)]
        seen = make_report(split, measured, cells, intake, kept, at)
        if keep_decision and seen.look and seen.report.decided_at == at.isoformat():
            await self._keep(split, at, seen.look, seen.report)
        if told := alarm_notice(split, seen.report):
            await self._teller.tell(told)
        return seen

    async def _question(
        self, split: Split, at: datetime, metrics: tuple[Metric, ...], dimension: str | None = None
    ) -> SplitQuestion:
        zone = await zone_of(self._registry, split.app, self._timezone)
        return SplitQuestion(
            app=str(split.app),
            split=str(split.id),
            phases=tuple(phase.number for phase in split.phases),
            variants=tuple(branch.slug for branch in branches_of(split)),
            measures=tuple(measure_of(metric) for metric in metrics),
            as_of=_milliseconds(at),
            offsets=offsets(zone, _milliseconds(split.started_at), _milliseconds(at) + 1),
            dimension=dimension,
        )

    async def _metric(self, split: Split, name: MetricName | None) -> Metric:
        if name is None:
            if split.brief.primary is None:
                raise NotFound(f"no metric decides {split.id} of {split.app}; name the one to cut with --metric")
            return split.brief.primary
        names = await self._ledger.names(split.app)
        known: list[Measured] = list(measured_of(split, names))
        for each in known:
            if each.metric.name == name:
                return each.metric
        everything = [metric for each in names.names for metric in implied(each.event, valued=each.valued > 0)]
        for metric in everything:
            if metric.name == name:
                return metric
        there = ", ".join(sorted(each.metric.name for each in known)) or "none yet"
        raise NotFound(f"{split.id} of {split.app} has no metric {name}; there are: {there}")


def _milliseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
