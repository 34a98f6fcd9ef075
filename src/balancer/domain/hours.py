"""Hours of the week in which a rollout goes on by itself, such as `Mon-Fri 09:00-17:00`.

Invariants:
    * They hold whenever the clock on the wall shows them: an hour that comes twice is in them twice, one that a zone
      skips is not there at all.
    * What is written once is read back the same.

Times are milliseconds since 1970, UTC, as in `calendar`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from balancer.domain.calendar import DAY_MILLISECONDS, LAST_MILLISECONDS, TimeZone, offsets
from balancer.errors import InvalidRollout

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTE = 60_000
_DAY_MINUTES = 24 * 60
# 20: more ranges than that are a calendar, not hours of a week.
_RANGES_LIMIT = 20
# 3 weeks: the one hour of a week that is in them may fall into the hour that a zone skips, or the day.
_HORIZON_MILLISECONDS = 21 * DAY_MILLISECONDS
# 1970-01-01 was a Thursday, the day 3 of the week.
_FIRST_WEEKDAY = 3
_RANGE = re.compile(
    r"(?:(?P<first>[A-Za-z]{3})(?:-(?P<last>[A-Za-z]{3}))?\s+)?"
    r"(?P<since>\d{2}:\d{2})-(?P<until>\d{2}:\d{2})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """One range, on some days of the week."""

    days: tuple[int, ...]
    """From 0, Monday."""
    since: int
    """Minutes from midnight."""
    until: int
    """The same; beyond 1,440 it ends on the day after."""
    text: str


class Hours(str):
    """Ranges of hours on days of the week, parsed; its text is how they are written."""

    ranges: tuple[_Range, ...]

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidRollout."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > _RANGES_LIMIT:
            raise InvalidRollout(f"{len(parts)} ranges of hours are too many: {_RANGES_LIMIT} are possible")
        ranges = tuple(_range(part) for part in parts)
        made = super().__new__(cls, ", ".join(each.text for each in ranges))
        made.ranges = ranges
        return made

    def open_at(self, zone: TimeZone, at: int) -> bool:
        """Tell whether a moment is in them."""
        return self.opens(zone, at) == at

    def opens(self, zone: TimeZone, at: int) -> int:
        """Return the first moment from `at` on that is in them."""
        return next((max(start, at) for start, _ in self._spans(zone, at)), LAST_MILLISECONDS)

    def closes(self, zone: TimeZone, at: int) -> int | None:
        """Return when they end that a moment is in; None where they do not within weeks."""
        end = next((end for start, end in self._spans(zone, at) if start <= at), at)
        return end if end < at + _HORIZON_MILLISECONDS else None

    def _spans(self, zone: TimeZone, at: int) -> list[tuple[int, int]]:
        """Return the spans of the next weeks that are in them, in order, none touching the next."""
        spans = sorted(self._pieces(zone, at - DAY_MILLISECONDS, at + _HORIZON_MILLISECONDS))
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return [(start, end) for start, end in joined if end > at]

    def _pieces(self, zone: TimeZone, since: int, until: int) -> Iterator[tuple[int, int]]:
        """Give each range of each day, as far as the wall shows it; where the clock is changed in two pieces."""
        walls = offsets(zone, since, until)
        for (begin, offset), (end, _) in pairwise((*walls, (until, 0))):
            # One day earlier: a range may have begun the day before.
            first, last = (begin + offset) // DAY_MILLISECONDS - 1, (end + offset) // DAY_MILLISECONDS
            for day in range(first, last + 1):
                midnight = day * DAY_MILLISECONDS - offset
                for each in self.ranges:
                    start = max(begin, midnight + each.since * _MINUTE)
                    stop = min(end, midnight + each.until * _MINUTE)
                    if (day + _FIRST_WEEKDAY) % 7 in each.days and start < stop:
                        yield start, stop


def _range(text: str) -> _Range:
    found = _RANGE.fullmatch(text)
    if not found:
        raise InvalidRollout(
            f"{text[:60]!r} are no hours: write Mon-Fri 09:00-17:00, several with commas between them, "
            "such as Mon-Thu 09:00-17:00, Fri 09:00-12:00"
        )
    since, until = _minutes(found["since"]), _minutes(found["until"])
    if since in (_DAY_MINUTES, until):
        raise InvalidRollout(f"{text[:60]!r} is no time at all; the whole day is 00:00-24:00")
    days, named = tuple(range(7)), ""
    if found["first"]:
        first = _day(found["first"])
        last = _day(found["last"]) if found["last"] else first
        days = tuple((first + after) % 7 for after in range((last - first) % 7 + 1))
        named = f"{_DAYS[first]}-{_DAYS[last]} " if found["last"] else f"{_DAYS[first]} "
    return _Range(
        days=days,
        since=since,
        until=until if until > since else until + _DAY_MINUTES,
        text=f"{named}{found['since']}-{found['until']}",
    )


def _day(text: str) -> int:
    try:
        return _DAYS.index(text.capitalize())
    except ValueError:
        raise InvalidRollout(f"{text!r} is no day: they are {', '.join(_DAYS)}") from None


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or 60 * hours + minutes > _DAY_MINUTES:
        raise InvalidRollout(f"{text} is no time of a day: they are 00:00 to 24:00")
    return 60 * hours + minutes
