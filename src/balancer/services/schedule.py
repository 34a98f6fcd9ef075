"""Schedules: whether a rollout may go on by itself just now, by the clock on the wall.

Invariants:
    * Where the clock and the ticks disagree, somebody has set the clock: nothing goes on by hours and freezes then.
    * After a while the clock is believed again, whatever it shows.
    * That is kept: a daemon that starts knows what the one before it has seen.
    * What has neither hours nor a freeze goes by ticks alone.
"""

from balancer import logs
from balancer.clock import Clock
from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone
from balancer.domain.clock_mark import ClockMark
from balancer.domain.freeze import Hold, hold
from balancer.domain.hours import Hours
from balancer.errors import InvalidName
from balancer.services.freeze import FreezeRegistry
from balancer.services.time_zone import zone_of

log = logs.named("schedule")
# A minute: a mark that is older says as much; newer ones are kept so that what is in doubt is.
_KEPT_SECONDS = 60.0


class Schedules:
    """Says what keeps rollouts waiting."""

    def __init__(self, registry: FreezeRegistry, clock: Clock, timezone: TimeZone) -> None:
        self._registry = registry
        self._clock = clock
        self._timezone = timezone
        self._mark: ClockMark | None = None
        self._kept: ClockMark | None = None
        """The mark in the registry."""

    async def hold(self, app: AppName, hours: Hours | None) -> Hold | None:
        """Return what keeps a rollout of an app, or a bandit, waiting now; None where nothing does.

        Raises AppNotFound.
        """
        mark = await self.look()
        freezes = await self._registry.freezes()
        if hours is None and not any(freeze.concerns(app) for freeze in freezes):
            return None
        await self._keep(mark)
        try:
            zone = await self.zone(app)
        except InvalidName as reason:  # the app was deployed when the machine still knew it: a rollback stays armed
            return Hold(rule="time zone unknown", reason=str(reason), ends=None)
        return hold(app, hours, zone, freezes, mark.wall, doubtful=mark.doubtful)

    async def zone(self, app: AppName) -> TimeZone:
        """Return the time zone that the hours of an app are in. Raises AppNotFound, InvalidName."""
        return await zone_of(self._registry, app, self._timezone)

    async def look(self) -> ClockMark:
        """Return what the clock shows, and whether that is in doubt."""
        before = self._mark
        if before is None:
            before = self._kept = await self._registry.clock_mark()
        now, ticks = self._clock(), self._clock.ticks()
        if before is None:
            self._mark = ClockMark(wall=now, ticks=ticks)
            return self._mark
        if by := before.set_by(now, ticks):
            log.warning("schedule.clock.set", by=round(by, 1))
        self._mark = before.at(now, ticks)
        return self._mark

    async def _keep(self, mark: ClockMark) -> None:
        kept = self._kept
        old = kept is None or not 0 <= mark.ticks - kept.ticks < _KEPT_SECONDS
        if old or kept is None or kept.doubted_since != mark.doubted_since:
            await self._registry.keep_clock_mark(mark)
            self._kept = mark
