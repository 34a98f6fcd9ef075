"""Calendars: which hour, day, week and month a moment belongs to, in the time zone of an app.

Invariants:
    * A day is what the clock on the wall calls it: 23 or 25 hours long where the clock is changed, and not there at
      all where a zone skipped it.
    * Weeks start on Monday.
    * The buckets of a range follow one another without a gap.
    * An hour begins on the full hour of the wall, and whenever the clock is changed: the hour that comes twice is two.

Times are milliseconds since 1970, UTC. A zone is its name and what this machine, or the package `tzdata`, knows of it.
"""

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Self

from balancer.errors import InvalidInput, InvalidName

HOUR_MILLISECONDS = 3_600_000
DAY_MILLISECONDS = 86_400_000
Offsets = Sequence[tuple[int, int]]
"""From when on how many milliseconds the wall is ahead of UTC, in order; the first from the beginning on."""
# 6 days: no zone has changed its clock twice within less since 1970; Noronha did in 2000, and Gaza will in 2040, within
# 7 days less an hour.
_PROBE_MILLISECONDS = 6 * DAY_MILLISECONDS
# 384 days at a time: what is asked of a zone again and again is one or two of these, and all since 1970 are 54.
_STRETCH_MILLISECONDS = 64 * _PROBE_MILLISECONDS
# 4,096: fifty zones since 1970, each entry of a few numbers.
_STRETCHES_LIMIT = 4096
# 2 days: the wall is up to 14 h from UTC, and a zone that crosses the date line skips a whole day.
_AROUND_MILLISECONDS = 2 * DAY_MILLISECONDS
# The years that can be told apart in every zone.
FIRST_MILLISECONDS, LAST_MILLISECONDS = 0, 253_370_764_800_000  # 1970-01-01 and 9999-01-01
_FIRST_YEAR, _LAST_YEAR = 1971, 8999
_EPOCH = date(1970, 1, 1)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
# `right/` counts leap seconds, the others are not the name of a place.
_NO_ZONE = ("posix/", "right/", "localtime", "posixrules", "Factory")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?))?")


class Unit(StrEnum):
    """How long a bucket is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class TimeZone(str):
    """The IANA name of a time zone, such as `Europe/Vienna`, of which the rules are known here."""

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _NAME.fullmatch(text[:100]) or text.startswith(_NO_ZONE):
            raise InvalidName(f"{text[:60]!r} is no time zone: write its IANA name, such as Europe/Vienna or UTC")
        zone = super().__new__(cls, text)
        _ = zone.rules
        return zone

    @cached_property
    def rules(self) -> tzinfo:
        """What the clock does there. Raises InvalidName."""
        if self == "UTC":
            return UTC  # known everywhere
        try:
            return zoneinfo.ZoneInfo(self)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            known = "" if _has_rules() else "; this machine knows none: apt-get install tzdata, or pip install tzdata"
            raise InvalidName(
                f"no time zone is called {str(self)!r}: write its IANA name, such as Europe/Vienna or UTC{known}"
            ) from None

    def offset(self, at: int) -> int:
        """Return how many milliseconds the wall is ahead of UTC at a moment."""
        ahead = datetime.fromtimestamp(at / 1000, self.rules).utcoffset()
        return 1000 * (86_400 * ahead.days + ahead.seconds) if ahead else 0


def _has_rules() -> bool:
    try:
        zoneinfo.ZoneInfo("Europe/London")
    except zoneinfo.ZoneInfoNotFoundError:
        return False
    return True


def offsets(zone: TimeZone, since: int, until: int) -> tuple[tuple[int, int], ...]:
    """Return how far the wall is ahead of UTC from `since` on, and after each change before `until`."""
    since, until = max(since, FIRST_MILLISECONDS), min(until, LAST_MILLISECONDS)
    stretches = range(since // _STRETCH_MILLISECONDS, -(-until // _STRETCH_MILLISECONDS))
    changes = (change for number in stretches for change in _changes(zone, number))
    return (since, zone.offset(since)), *((at, ahead) for at, ahead in changes if since < at < until)


@lru_cache(maxsize=_STRETCHES_LIMIT)
def _changes(zone: TimeZone, stretch: int) -> tuple[tuple[int, int], ...]:
    """Return the changes of the clock in a stretch of time, in order: remembered, for to find them takes a while."""
    if zone.rules is UTC:
        return ()
    found = []
    first = stretch * _STRETCH_MILLISECONDS
    before = zone.offset(first)
    for at in range(first, first + _STRETCH_MILLISECONDS, _PROBE_MILLISECONDS):
        ahead = zone.offset(at + _PROBE_MILLISECONDS)
        if ahead != before:
            found.append((_change(zone, at, at + _PROBE_MILLISECONDS), ahead))
        before = ahead
    return tuple(found)


def _change(zone: TimeZone, before: int, after: int) -> int:
    """Return the first moment after `before` at which the wall is as far ahead as at `after`; on a full second."""
    wanted = zone.offset(after)
    low, high = before // 1000, -(-after // 1000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if zone.offset(middle * 1000) == wanted else (middle, high)
    return high * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One hour, day, week or month."""

    number: int
    """Of an hour when it begins, as `start`; else the days since 1970 of its first day."""
    start: int
    """The first moment at which the wall shows it."""
    end: int
    """When the next one starts."""
    label: str
    """`2026-10-25T02:00+01:00`, `2026-10-25`, of a week its Monday, of a month `2026-10`."""

    @property
    def hours(self) -> float:
        """How long it is."""
        return (self.end - self.start) / HOUR_MILLISECONDS


def buckets(zone: TimeZone, unit: Unit, since: int, until: int) -> tuple[Bucket, ...]:
    """Return the buckets that have a moment of [since, until), in order and whole."""
    if since >= until:
        return ()
    around = _AROUND_MILLISECONDS if unit is Unit.HOUR else 32 * DAY_MILLISECONDS + _AROUND_MILLISECONDS
    walls = offsets(zone, since - around, until + around)
    starts = _hours(walls, until + around) if unit is Unit.HOUR else _dates(walls, unit, since, until)
    # Where a zone skipped a whole day, that one and the next begin at once: only the latter is there.
    return tuple(
        Bucket(number=number, start=start, end=end, label=_label(unit, number, start, walls))
        for (start, number), (end, _) in pairwise(sorted(starts))
        if start < end and start < until and end > since
    )


def _hours(walls: Offsets, until: int) -> Iterator[tuple[int, int]]:
    ends = [at for at, _ in walls[1:]] + [until + HOUR_MILLISECONDS]
    for (since, offset), end in zip(walls, ends, strict=True):
        first = -(-(since + offset) // HOUR_MILLISECONDS) * HOUR_MILLISECONDS - offset
        if first != since and since != walls[0][0]:
            yield since, since
        yield from ((start, start) for start in range(first, end, HOUR_MILLISECONDS))


def _dates(walls: Offsets, unit: Unit, since: int, until: int) -> Iterator[tuple[int, int]]:
    first = _first_day(unit, _EPOCH + timedelta(days=day_number(walls, since)))
    last = _EPOCH + timedelta(days=day_number(walls, until - 1))
    while first <= last:
        yield _begins(walls, first), (first - _EPOCH).days
        first = _next(unit, first)
    yield _begins(walls, first), (first - _EPOCH).days


def _begins(walls: Offsets, day: date) -> int:
    """Return the first moment at which the wall shows this date, or a later one."""
    midnight = (day - _EPOCH).days * DAY_MILLISECONDS
    ends = [at for at, _ in walls[1:]] + [LAST_MILLISECONDS]
    begun = (
        midnight - offset if number == 0 else max(since, midnight - offset)
        for number, (since, offset) in enumerate(walls)
        if midnight - offset < ends[number]
    )
    return min(begun)


def day_number(walls: Offsets, at: int) -> int:
    """Return the days since 1970 of the date that the wall shows at a moment."""
    offset = next((ahead for since, ahead in reversed(walls) if since <= at), walls[0][1])
    return (at + offset) // DAY_MILLISECONDS


def _first_day(unit: Unit, day: date) -> date:
    if unit is Unit.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit is Unit.MONTH else day


def _next(unit: Unit, first: date) -> date:
    if unit is Unit.MONTH:
        return (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=7 if unit is Unit.WEEK else 1)


def _label(unit: Unit, number: int, start: int, walls: Offsets) -> str:
    if unit is Unit.HOUR:
        return _on_the_wall(start, next(ahead for since, ahead in reversed(walls) if since <= start))
    return (_EPOCH + timedelta(days=number)).isoformat()[: 7 if unit is Unit.MONTH else 10]


def _on_the_wall(at: int, offset: int) -> str:
    sign, minutes = "-" if offset < 0 else "+", abs(offset) // 60_000
    wall = datetime.fromtimestamp((at + offset) / 1000, UTC)
    return f"{wall:%Y-%m-%dT%H:%M}{sign}{minutes // 60:02}:{minutes % 60:02}"


def moment(zone: TimeZone, text: str, *, end: bool = False) -> int:
    """Return when `2026-11-01` or `2026-11-01T14:30` begins on the wall of a zone.

    With `end` a date stands for all of it: what is returned is when the next day begins. Raises InvalidInput.
    """
    found = _MOMENT.fullmatch(text)
    try:
        if not found:
            raise ValueError
        day = date.fromisoformat(found[1])
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise ValueError
        if found[2] is None:
            midnight = (day - _EPOCH).days * DAY_MILLISECONDS
            walls = offsets(zone, midnight - _AROUND_MILLISECONDS, midnight + 2 * _AROUND_MILLISECONDS)
            return _begins(walls, day + timedelta(days=1) if end else day)
        return int(datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=zone.rules).timestamp() * 1000)
    except ValueError:
        raise InvalidInput(f"{text[:60]!r} is no date: write 2026-11-01, or 2026-11-01T14:30, from 1971 on") from None


def instant(zone: TimeZone, text: str, *, end: bool = False) -> datetime:
    """Return what `moment` does, in UTC; a text that says how far it is from UTC (`…+01:00`, `…Z`) needs no zone.

    Raises InvalidInput.
    """
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        said = None
    if said is not None and said.tzinfo is not None and _FIRST_YEAR <= said.year <= _LAST_YEAR:
        return said.astimezone(UTC)
    return datetime.fromtimestamp(moment(zone, text, end=end) / 1000, UTC)


def shown(zone: TimeZone, at: datetime) -> str:
    """Return what the wall of a zone shows, to the minute: `2026-12-24T18:00+01:00`."""
    return at.astimezone(zone.rules).isoformat(timespec="minutes")
