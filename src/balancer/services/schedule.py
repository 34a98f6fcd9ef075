"""Schedules: whether a rollout may go on by itself just now, by the clock on the wall.

Invariants:
    * Where the clock and the ticks disagree, somebody has set the clock: nothing goes on by hours and freezes then.
    * After a while the clock is believed again, whatever it shows.
    * What has neither hours nor a freeze goes by ticks alone.
"""

from datetime import datetime

from balancer import logs
from balancer.clock import Clock
from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone
from balancer.domain.freeze import Hold, hold
from balancer.domain.rollout import Plan
from balancer.errors import InvalidName
from balancer.services.freeze import FreezeRegistry
from balancer.services.time_zone import zone_of

log = logs.named("schedule")
# 3 s: a clock that is kept right by NTP is slewed by half a millisecond a second, and we look each second.
_DISAGREEMENT_SECONDS = 3.0
# 35 minutes: what keeps the clocks of machines right asks again after at most 2,048 s, and mends what was set wrong.
DOUBT_SECONDS = 2_100.0


class Schedules:
    """Says what keeps rollouts waiting."""

    def __init__(self, registry: FreezeRegistry, clock: Clock, timezone: TimeZone) -> None:
        self._registry = registry
        self._clock = clock
        self._timezone = timezone
        self._latest: tuple[datetime, float] | None = None
        """What the clock and the ticks showed at the latest look."""
        self._doubted_since: float | None = None
        """Ticks."""

    async def hold(self, app: AppName, plan: Plan) -> Hold | None:
        """Return what keeps a rollout of an app waiting now; None where nothing does. Raises AppNotFound."""
        now, doubtful = self.look()
        freezes, hours = await self._registry.freezes(), plan.open_hours
        if hours is None and not any(freeze.concerns(app) for freeze in freezes):
            return None
        try:
            zone = await self.zone(app)
        except InvalidName as reason:  # the app was deployed when the machine still knew it: a rollback stays armed
            return Hold(rule="time zone unknown", reason=str(reason), ends=None)
        return hold(app, hours, zone, freezes, now, doubtful=doubtful)

    async def zone(self, app: AppName) -> TimeZone:
        """Return the time zone that the hours of an app are in. Raises AppNotFound, InvalidName."""
        return await zone_of(self._registry, app, self._timezone)

    def look(self) -> tuple[datetime, bool]:
        """Return what the clock shows, and whether that is in doubt."""
        now, ticks = self._clock(), self._clock.ticks()
        if self._latest is not None:
            wall, went_by = (now - self._latest[0]).total_seconds(), ticks - self._latest[1]
            if abs(wall - went_by) > _DISAGREEMENT_SECONDS:
                log.warning("schedule.clock.set", by=round(wall - went_by, 1))
                self._doubted_since = ticks
        self._latest = now, ticks
        doubtful = self._doubted_since is not None and ticks - self._doubted_since < DOUBT_SECONDS
        return now, doubtful
