"""Scales: where on an axis a value is drawn, and which places of the axis are named.

Invariants:
    * What lies outside of a scale is drawn at its end, and what is no number nowhere.
    * A scale of a single value, or of none, has room on both sides of it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from balancer.charts.numbers import Written, short

# 1e300: half of the range of a float, so that a difference of two of them is still one.
_LARGEST = 1e300
# Milliseconds since 1970 of the years 1971 and 9998, which every time zone can show.
_FIRST, _LAST = 31_536_000_000.0, 253_339_228_800_000.0
_MINUTE, _HOUR, _DAY = 60_000.0, 3_600_000.0, 86_400_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place of an axis that is named."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`, drawn from `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.logarithmic and self.low <= 0):
            raise ValueError(f"no axis goes from {self.low} to {self.high}")

    def place(self, value: float) -> float:
        """Return where a value is drawn; that of one outside is the end. Raises ValueError for what is no number."""
        if math.isnan(value):
            raise ValueError("what is no number is nowhere on an axis")
        held = min(max(value, self.low), self.high)
        if self.logarithmic:
            part = math.log(held / self.low) / math.log(self.high / self.low)
        else:
            part = (held / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + part * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies on the axis."""
        return self.low <= value <= self.high


def finite(values: Iterable[float]) -> list[float]:
    """Return the values that are numbers, within what can be drawn."""
    return [min(max(value, -_LARGEST), _LARGEST) for value in values if math.isfinite(value)]


def linear(values: Iterable[float], start: float, end: float, *, about: int = 5, zero: bool = False) -> Scale:
    """Return an axis with round ends that has all the values; with `zero` 0 is one of them."""
    known = finite(values) + ([0.0] if zero else [])
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high / 2 - low / 2 <= max(abs(low), abs(high)) * 1e-9 or high - low < 1e-290:
        around = abs(high) / 2 if abs(high) > 1e-280 else 1.0
        low, high = low - around, high + around
        if zero and known and min(known) >= 0:
            low = 0.0
    step = _step(low, high, about)
    return Scale(low=math.floor(low / step) * step, high=math.ceil(high / step) * step, start=start, end=end)


def logarithmic(values: Iterable[float], start: float, end: float, *, around: tuple[float, float]) -> Scale:
    """Return an axis of whole powers of ten that has all values above 0, and `around`."""
    known = [min(max(value, 1e-9), 1e12) for value in values if math.isfinite(value) and value > 0]
    low, high = min(*around, *known), max(*around, *known)
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return Scale(low=10.0**first, high=10.0 ** max(last, first + 1), start=start, end=end, logarithmic=True)


def moments(values: Iterable[float], start: float, end: float) -> Scale:
    """Return an axis of times, milliseconds since 1970; of a single one it has an hour before and after."""
    known = [min(max(value, _FIRST), _LAST) for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (_FIRST, _FIRST + _DAY)
    if high - low < 1000:
        low, high = low - _HOUR, high + _HOUR
    return Scale(low=low, high=high, start=start, end=end)


def ticks(scale: Scale, about: int, written: Written = short) -> tuple[Tick, ...]:
    """Return about so many round places of an axis, of a logarithmic one powers of ten."""
    if scale.logarithmic:
        return _powers(scale, about, written)
    step = _step(scale.low, scale.high, about)
    first, last = math.ceil(scale.low / step - 1e-6), math.floor(scale.high / step + 1e-6)
    return tuple(Tick(at=number * step, text=written(number * step)) for number in range(first, last + 1))


def time_ticks(scale: Scale, about: int, zone: tzinfo) -> tuple[Tick, ...]:
    """Return about so many minutes, hours, days, or first days of months on the wall of a zone.

    Of an axis that has no two minutes they are its ends, to the second.
    """
    span = scale.high - scale.low
    if span < 2 * _MINUTE:
        return tuple(Tick(at=at, text=wall_time(at, zone, "%H:%M:%S")) for at in (scale.low, scale.high))
    if span < 2 * _HOUR:
        minutes = next(step for step in (1, 2, 5, 10, 15, 30, 60) if span / (step * _MINUTE) < about + 1 or step == 60)
        return tuple(_minutes(scale, minutes, zone))
    if span <= 2 * _DAY:
        hours = next((step for step in (1, 2, 3, 6, 12) if span / (step * _HOUR) < about + 1), 24)
        return tuple(_hours(scale, hours, zone))
    days = next((step for step in (1, 2, 7, 14) if span / (step * _DAY) < about + 1), None)
    if days is not None:
        return tuple(_days(scale, days, zone))
    months = next((step for step in (1, 2, 3, 6, 12) if span / (step * 30.4 * _DAY) < about + 1), None)
    return tuple(_months(scale, months or 12 * math.ceil(span / (365 * _DAY) / about), zone))


def wall(at: float, zone: tzinfo) -> datetime:
    """Return what the wall shows at a moment, milliseconds since 1970."""
    return datetime.fromtimestamp(min(max(at, _FIRST), _LAST) / 1000, zone)


def wall_time(at: float, zone: tzinfo, form: str = "%H:%M") -> str:
    """Return what the wall shows at a moment, in a form of strftime.

    Where it shows the same twice, with how far it is ahead of UTC: `02:00+01`.
    """
    return f"{wall(at, zone):{form}}{told_apart(wall(at, zone))}"


def told_apart(shown: datetime) -> str:
    """Return what tells a time apart that the wall shows twice, such as `+01`; empty of others."""
    ahead = shown.utcoffset()
    if ahead is None or shown.replace(fold=1 - shown.fold).utcoffset() == ahead:
        return ""
    sign, minutes = "-" if ahead < timedelta(0) else "+", abs(ahead) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02}" + (f":{minutes % 60:02}" if minutes % 60 else "")


def _step(low: float, high: float, about: int) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) that makes about so many parts."""
    rough = (high / 2 - low / 2) / max(about, 1) * 2
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in (1.0, 2.0, 5.0) if step * power >= rough * 0.999), 10.0 * power)


def _powers(scale: Scale, about: int, written: Written) -> tuple[Tick, ...]:
    first, last = round(math.log10(scale.low)), round(math.log10(scale.high))
    every = max(math.ceil((last - first) / max(about, 1)), 1)
    return tuple(Tick(at=10.0**power, text=written(10.0**power)) for power in range(first, last + 1, every))


def _minutes(scale: Scale, every: int, zone: tzinfo) -> Iterable[Tick]:
    at = math.ceil(scale.low / _MINUTE) * _MINUTE
    while at <= scale.high:
        shown = wall(at, zone)
        if shown.minute % every == 0:
            yield Tick(at=at, text=wall_time(at, zone))
        at += _MINUTE


def _hours(scale: Scale, every: int, zone: tzinfo) -> Iterable[Tick]:
    at = math.ceil(scale.low / _MINUTE) * _MINUTE
    while at <= scale.high:
        shown = wall(at, zone)
        # Zones of half an hour begin theirs between those of UTC.
        if shown.minute:
            at += (60 - shown.minute) * 60_000.0
            continue
        if shown.hour % every == 0:
            yield Tick(at=at, text=wall_time(at, zone, f"%a {shown.day}" if shown.hour == 0 else "%H:%M"))
        at += _HOUR


def _days(scale: Scale, every: int, zone: tzinfo) -> Iterable[Tick]:
    shown = wall(scale.low, zone)
    first = datetime(shown.year, shown.month, shown.day, tzinfo=zone)
    if first.timestamp() * 1000 < scale.low:
        first += timedelta(days=1)
    if every % 7 == 0:
        first += timedelta(days=-first.weekday() % 7)
    while (at := first.timestamp() * 1000) <= scale.high:
        yield Tick(at=at, text=f"{first.day} {first:%b}")
        first += timedelta(days=every)


def _months(scale: Scale, every: int, zone: tzinfo) -> Iterable[Tick]:
    shown = wall(scale.low, zone)
    number = shown.year * 12 + shown.month - 1
    if datetime(shown.year, shown.month, 1, tzinfo=zone).timestamp() * 1000 < scale.low:
        number += 1
    number = -(-number // every) * every
    while number // 12 < 9998:
        first = datetime(number // 12, number % 12 + 1, 1, tzinfo=zone)
        if (at := first.timestamp() * 1000) > scale.high:
            return
        yield Tick(at=at, text=f"{first:%Y}" if first.month == 1 else f"{first:%b}")
        number += every
