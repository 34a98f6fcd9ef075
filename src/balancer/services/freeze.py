"""Freezes: set, shown, taken back, and asked before something goes live.

Invariants:
    * A deploy to the default branch is refused in a freeze, unless whoever deploys says that it is an emergency.
    * Nothing else that an operator asks for is refused: rollbacks, promotions, other branches.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName, BranchName
from balancer.domain.calendar import TimeZone, instant, shown
from balancer.domain.clock_mark import ClockMark
from balancer.domain.freeze import Freeze, longest
from balancer.errors import Frozen, InvalidInput
from balancer.services.registry import Registry
from balancer.services.time_zone import zone_of

log = logs.named("freeze")
DURING_FREEZE = "during-freeze"
"""The push option of an emergency: `git push -o during-freeze`."""


class FreezeRegistry(Registry, Protocol):
    """The truth about freezes too."""

    async def add_freeze(self, app: AppName | None, since: datetime, until: datetime, why: str) -> Freeze:
        """Add a freeze. Raises AppNotFound, InvalidInput."""

    async def freezes(self) -> tuple[Freeze, ...]:
        """Return the freezes there are, the one that begins first first."""

    async def remove_freeze(self, number: int) -> None:
        """Remove a freeze. Raises NotFound."""

    async def clock_mark(self) -> ClockMark | None:
        """Return the clock mark that was kept last."""

    async def keep_clock_mark(self, mark: ClockMark) -> None:
        """Keep a clock mark in the place of the one before."""


class Freezes:
    """Carries out what an operator asks of freezes, and says what one forbids."""

    def __init__(self, registry: FreezeRegistry, clock: Callable[[], datetime], timezone: TimeZone) -> None:
        """Dates of freezes of all apps are in `timezone`."""
        self._registry = registry
        self._clock = clock
        self._timezone = timezone

    async def add(self, app: AppName | None, since: str | None, until: str, why: str) -> Freeze:
        """Freeze an app, or all, between two dates; a date that ends a freeze belongs to it; None: from now on.

        Raises AppNotFound, InvalidInput.
        """
        zone, now = await self.zone(app), self._clock()
        begins, ends = now if since is None else instant(zone, since), instant(zone, until, end=True)
        if ends <= now:
            raise InvalidInput(f"the freeze is to end in the future, and {shown(zone, ends)} is over")
        freeze = await self._registry.add_freeze(app, begins, ends, why)
        log.info("freeze.added", freeze=freeze.number, app=app, since=str(begins), until=str(ends), why=why)
        return freeze

    async def every(self) -> tuple[Freeze, ...]:
        """Return the freezes there are, the one that begins first first."""
        return await self._registry.freezes()

    async def remove(self, number: int) -> None:
        """Take a freeze back. Raises NotFound."""
        await self._registry.remove_freeze(number)
        log.info("freeze.removed", freeze=number)

    async def zone(self, app: AppName | None) -> TimeZone:
        """Return the time zone in which dates of an app are, or of all. Raises AppNotFound, InvalidName."""
        return self._timezone if app is None else await zone_of(self._registry, app, self._timezone)

    async def now(self, app: AppName) -> Freeze | None:
        """Return the freeze of an app that holds now, of several the one that ends last."""
        return longest(await self._registry.freezes(), app, self._clock())

    def in_force(self, freeze: Freeze) -> bool:
        """Tell whether a freeze holds now."""
        return freeze.in_force(self._clock())

    async def check(self, app: AppName, branch: BranchName, *, during_freeze: bool) -> None:
        """Raise Frozen where a deploy to a branch is not to go live now; `during_freeze`: an emergency.

        Raises AppNotFound too.
        """
        if branch != (await self._registry.app(app)).default_branch:
            return
        freeze = await self.now(app)
        if freeze is None:
            return
        if during_freeze:
            log.warning("freeze.passed", app=app, branch=branch, freeze=freeze.number)
            return
        zone = await self.zone(app)
        raise Frozen(
            f"there is a freeze until {shown(zone, freeze.until)} ({freeze.why}), and {branch} is what visitors of "
            f"{app} see. Push it then, or to another branch; in an emergency: git push -o {DURING_FREEZE} …, or "
            f"balancer deploy --{DURING_FREEZE} …"
        )
