"""Dates on an axis: the names of days, weeks and months, each in the middle of what it names.

Invariants:
    * A day, week or month is named by its dates and by no time of day, however few of them there are.
    * Each is as wide as it is long on the wall of the zone: a day of 25 hours is wider than one of 23.

Times are milliseconds since 1970.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from balancer.charts.scale import Scale, Tick, moments, time_ticks, wall, wall_time

_HOUR, _DAY = 3_600_000.0, 86_400_000.0


class Grain(StrEnum):
    """How long what is drawn is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def whole_days(values: Sequence[float], start: float, end: float, zone: tzinfo) -> Scale:
    """Return an axis of times that begins and ends at midnight; what ends at midnight needs no day more."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return moments((), start, end)
    after = max(max(known) - 1, min(known))
    ends = (_begin(_date(min(known), zone), zone), _begin(_date(after, zone) + timedelta(days=1), zone))
    return moments(ends, start, end)


def date_ticks(scale: Scale, about: int, zone: tzinfo, grain: Grain | None = None) -> tuple[Tick, ...]:
    """Return about so many named places of an axis: of moments where `grain` is None, else of what lasts so long."""
    days = (scale.high - scale.low) / _DAY
    match grain:
        case Grain.HOUR if scale.high - scale.low < 2 * _HOUR:
            return tuple(Tick(at=at, text=wall_time(at, zone)) for at in (scale.low, scale.high))
        case Grain.DAY if every := _every((1, 2, 7, 14), days, about):
            return tuple(_days(scale, zone, every, 1, lambda day: f"{day.day} {day:%b}"))
        case Grain.WEEK if every := _every((7, 14, 28), days, about):
            return tuple(_days(scale, zone, every, 7, _week))
        case Grain.MONTH if every := _every((1, 2, 3, 6, 12), days / 30.4, about):
            return tuple(_months(scale, zone, every))
        case _:
            return time_ticks(scale, about, zone)


def _every(steps: Sequence[int], parts: float, about: int) -> int:
    """Return of how many parts one is named; 0 where they are too many for every step."""
    return next((step for step in steps if parts / step < about + 1), 0)


def _days(scale: Scale, zone: tzinfo, every: int, lasts: int, named: Callable[[date], str]) -> Iterator[Tick]:
    """Give each so many days the name of what begins there and lasts some days; of weeks it is a Monday."""
    first = _date(scale.low, zone)
    if every % 7 == 0:
        first -= timedelta(days=first.weekday())
    while (begins := _begin(first, zone)) < scale.high:
        ends = _begin(first + timedelta(days=lasts), zone)
        if ends > scale.low:
            yield Tick(at=_middle(scale, begins, ends), text=named(first))
        first += timedelta(days=every)


def _months(scale: Scale, zone: tzinfo, every: int) -> Iterator[Tick]:
    first, is_first = _date(scale.low, zone).replace(day=1), True
    while (begins := _begin(first, zone)) < scale.high:
        after = (first + timedelta(days=32)).replace(day=1)
        if (first.month - 1) % every == 0:
            yield Tick(
                at=_middle(scale, begins, _begin(after, zone)),
                text=f"{first:%b %Y}" if is_first or first.month <= every else f"{first:%b}",
            )
            is_first = False
        first = after


def _middle(scale: Scale, begins: float, ends: float) -> float:
    """Return the middle of what is seen of a time."""
    return (max(begins, scale.low) + min(ends, scale.high)) / 2


def _week(first: date) -> str:
    last = first + timedelta(days=6)
    return (
        f"{first.day}–{last.day} {last:%b}"
        if first.month == last.month
        else f"{first.day} {first:%b} – {last.day} {last:%b}"
    )


def _date(at: float, zone: tzinfo) -> date:
    return wall(at, zone).date()


def _begin(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000
