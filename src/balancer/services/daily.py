"""What is done with splits once a day: the look at the day's end, and the report of a split that is over.

Invariants:
    * Each day that ended while a split ran gets one look, as of that moment, also where the daemon was away then.
    * A look or a report that was kept is never made again.
    * Where the ledger does not answer, the next minute is another chance.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from balancer import logs
from balancer.domain.calendar import TimeZone, Unit, buckets
from balancer.domain.split import Split
from balancer.errors import BalancerError
from balancer.services.looks import read
from balancer.services.registry import Registry
from balancer.services.reports import Reports
from balancer.services.time_zone import zone_of

log = logs.named("looks")
# A minute: nobody waits for the look of a day that has just ended.
_EVERY_SECONDS = 60.0
# An hour: a sample ratio that alarms, or a decision, is told of then, also where nobody reads reports.
_WATCH_MINUTES = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class DailyLooks:
    """Takes the looks that are due."""

    def __init__(
        self,
        registry: Registry,
        reports: Reports,
        clock: Callable[[], datetime],
        timezone: TimeZone,
    ) -> None:
        """Days are those of `timezone` where an app does not say its own."""
        self._registry = registry
        self._reports = reports
        self._clock = clock
        self._timezone = timezone

    async def run(self) -> None:
        """Take them every minute; until cancelled."""
        minutes = 0
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            minutes += 1
            try:
                await self.take()
                if minutes % _WATCH_MINUTES == 0:
                    await self.watch()
            except BalancerError as reason:
                log.warning("looks.waiting", reason=str(reason))
            except Exception as error:  # noqa: BLE001 - the next minute is another chance, whatever failed
                log.error("looks.broke", error=error)

    async def take(self) -> None:
        """Take every look that is due, and keep the report of every split that is over. Raises LedgerUnavailable."""
        for split in (await self._registry.snapshot()).splits:
            for at in await self._due(split):
                await self._reports.keep_look(split, at)
                log.info("look.kept", app=split.app, split=split.id, at=at.isoformat())
        for split in await self._registry.splits_without_report():
            await self._reports.of(split.app, split.id)
            log.info("report.kept", app=split.app, split=split.id)

    async def watch(self) -> None:
        """Look at every split that is not over, so that what a report would show is told. Raises LedgerUnavailable."""
        for split in (await self._registry.snapshot()).splits:
            await self._reports.of(split.app, split.id)

    async def _due(self, split: Split) -> list[datetime]:
        """Return the ends of days since the last look; none where no metric decides, or it does on a date."""
        if split.brief.primary is None or split.brief.decide_at is not None:
            return []
        kept = await self._registry.looks(split.id)
        since = max((read(look).at for look in kept[-1:]), default=_milliseconds(split.started_at))
        now = _milliseconds(self._clock())
        days = buckets(await zone_of(self._registry, split.app, self._timezone), Unit.DAY, since, now)
        return [_EPOCH + day.end * _MILLISECOND for day in days if since < day.end <= now]


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND
