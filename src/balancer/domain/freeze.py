"""Freezes: times in which what visitors see stays as it is.

Invariants:
    * In a freeze no rollout takes a step or begins by itself, and no deploy to the default branch goes live unless
      somebody says that it is to; to go back is always possible.
    * Its beginning belongs to it, its end does not.

Also what keeps a rollout waiting by the clock on the wall, `hold`, hours of the week included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone, shown
from balancer.domain.hours import Hours
from balancer.errors import InvalidInput

# 366 days: what is frozen for longer than a year is a year that was mistyped.
_LONGEST = timedelta(days=366)
# 200 characters: it is read in a refused push, and should be one line.
_WHY_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """One freeze."""

    number: int
    app: AppName | None
    """None: all apps."""
    since: datetime
    until: datetime
    why: str

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise InvalidInput("the times of a freeze must say in which time zone they are")
        if not timedelta() < self.until - self.since <= _LONGEST:
            raise InvalidInput("a freeze ends after it has begun, and within a year: see --from and --until")
        if not (0 < len(self.why) <= _WHY_LIMIT and self.why.isprintable() and self.why.strip()):
            raise InvalidInput(f'say why in one line of at most {_WHY_LIMIT} characters: --why "Christmas"')

    def concerns(self, app: AppName) -> bool:
        """Tell whether it is of an app."""
        return self.app in (None, app)

    def in_force(self, at: datetime) -> bool:
        """Tell whether it holds at a moment."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a rollout does nothing by itself just now; plain, so that JSON carries it."""

    rule: str
    """`freeze`, `outside hours`, `clock was set`, or `time zone unknown`."""
    reason: str
    ends: str | None
    """When it goes on, ISO 8601 in the app's time zone; None where nobody knows."""


def longest(freezes: Iterable[Freeze], app: AppName, at: datetime) -> Freeze | None:
    """Return the freeze of an app that holds at a moment, of several the one that ends last."""
    there = (each for each in freezes if each.concerns(app) and each.in_force(at))
    return max(there, key=lambda each: each.until, default=None)


def hold(
    app: AppName, hours: Hours | None, zone: TimeZone, freezes: tuple[Freeze, ...], at: datetime, *, doubtful: bool
) -> Hold | None:
    """Return what keeps a rollout of an app waiting at a moment; None where nothing does.

    `doubtful`: whether the clock was set not long ago, so that nobody knows what it should show. That matters where
    there are hours or freezes alone.
    """
    freezes = tuple(each for each in freezes if each.concerns(app))
    if doubtful and (hours is not None or freezes):
        return Hold(
            rule="clock was set",
            reason="the clock of the machine was set, so that hours and freezes are not to be told for a while",
            ends=None,
        )
    opens = goes_on(app, hours, zone, freezes, at)
    if opens == at:
        return None
    ends = shown(zone, opens)
    frozen = longest(freezes, app, at)
    if frozen:
        reason = f"there is a freeze until {shown(zone, frozen.until)} ({frozen.why}); it goes on at {ends}"
        return Hold(rule="freeze", reason=reason, ends=ends)
    return Hold(
        rule="outside hours",
        reason=f"it goes on by itself {hours} ({zone}) alone: again at {ends}",
        ends=ends,
    )


def goes_on(app: AppName, hours: Hours | None, zone: TimeZone, freezes: tuple[Freeze, ...], at: datetime) -> datetime:
    """Return the first moment from `at` on that is in no freeze of an app, and in the hours."""
    while True:
        frozen = longest(freezes, app, at)
        if frozen:
            at = frozen.until
            continue
        opens = at if hours is None else _opens(hours, zone, at)
        if opens == at:
            return at
        at = opens


def _opens(hours: Hours, zone: TimeZone, at: datetime) -> datetime:
    now = int(at.timestamp() * 1000)
    opens = hours.opens(zone, now)
    return at if opens == now else datetime.fromtimestamp(opens / 1000, at.tzinfo)
