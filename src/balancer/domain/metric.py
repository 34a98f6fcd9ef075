"""Metrics: rules that turn a visitor's events into one number.

Invariants:
    * A metric has one number a visitor, and is final once the visitor's window is over.
    * A quantile and nothing else is for display only: it is never a goal, a guardrail or what decides.

Declared in the app's manifest or by command, as `declaration` reads it; `services/measures.py` says what the ledger is
asked for one.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from balancer.domain.event import VALUE_LIMIT, EventName, EventSource
from balancer.errors import InvalidMetric, InvalidName

# 72 h: whoever buys mostly does within three days; a verdict waits for this long for each visitor.
WINDOW_SECONDS = 72 * 3600
# 90 days: longer than splits are run, and than most ledgers keep.
WINDOW_LIMIT_SECONDS = 90 * 86_400
# 14 days of behaviour before the assignment, as CUPED's authors used; longer adds little.
COVARIATE_SECONDS = 14 * 86_400
# 8: more steps than a table shows.
STEPS_LIMIT = 8
_NAME = re.compile(r"[A-Za-z$][A-Za-z0-9_.:-]{0,63}")
_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class MetricName(str):
    """A name such as `revenue`, by the rules of an event's."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _NAME.fullmatch(text):
            raise InvalidName(
                f"{text[:60]!r} is no name for a metric: use a letter, then letters, digits and _ . : -, at most 64"
            )
        return super().__new__(cls, text)


class Kind(StrEnum):
    """What a metric takes of a visitor's events."""

    CONVERTED = "converted"
    """1 for who did it, 0 for who did not."""
    COUNT = "count"
    """How often."""
    SUM = "sum"
    """The values added up."""
    MEAN = "mean"
    """The values added up, by how many there are: a ratio of two sums over visitors."""
    RATIO = "ratio"
    """One event by another: values of the first (its count, where `counts`) by the count of the second."""
    RETENTION = "retention"
    """1 for who came back on day `day` after the assignment and did it, 0 for who did not."""
    FUNNEL = "funnel"
    """1 for who did all the events in their order, 0 for who did not."""
    QUANTILE = "quantile"
    """A quantile of the values; for display."""


class Role(StrEnum):
    """What a metric is there for."""

    GOAL = "goal"
    GUARDRAIL = "guardrail"
    """It must not get worse."""


class Better(StrEnum):
    """Which direction is good."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One rule."""

    name: MetricName
    kind: Kind
    events: tuple[str, ...]
    """One; two of a ratio; the steps of a funnel. Names of events, or `$error` and the like."""
    window_seconds: int = WINDOW_SECONDS
    """How long after the assignment events count; of a retention, that of its day."""
    cap: float | None = None
    """Where a visitor's number is cut, to both sides of 0; fixed before the split."""
    sources: tuple[EventSource, ...] = ()
    """The ones that count; all of them where this is empty."""
    better: Better = Better.HIGHER
    role: Role = Role.GOAL
    day: int | None = None
    """Of a retention: 1 is the day that begins 24 h after the assignment."""
    quantile: float | None = None
    """Of a quantile: between 0 and 1."""
    counts: bool = False
    """Of a ratio: the events of the first name are counted, instead of their values added up."""
    cuped: bool = False
    """Whether behaviour before the assignment is used to narrow the interval."""

    def __post_init__(self) -> None:
        for event in self.events:
            if not event.startswith("$"):
                EventName(event)
        least, most = {Kind.RATIO: (2, 2), Kind.FUNNEL: (2, STEPS_LIMIT)}.get(self.kind, (1, 1))
        if not least <= len(self.events) <= most:
            wanted = f"{least} events" if least == most else f"{least} to {most} events"
            raise self._wrong(f"a {self.kind} needs {wanted.replace('1 events', '1 event')}, not {len(self.events)}")
        if self.kind is Kind.FUNNEL and len(set(self.events)) != len(self.events):
            raise self._wrong("a funnel names each event once")
        if not 1 <= self.window_seconds <= WINDOW_LIMIT_SECONDS:
            raise self._wrong(f"the window must be from 1 s to {WINDOW_LIMIT_SECONDS // 86_400} days")
        if self.cap is not None and not (0 < self.cap <= VALUE_LIMIT and self.kind in (Kind.SUM, Kind.COUNT)):
            raise self._wrong("a cap must be above 0, and is for `sum` and `count`")
        if (self.kind is Kind.RETENTION) != (self.day is not None) or (
            self.day is not None and not 1 <= self.day <= 89
        ):
            raise self._wrong("a retention, and nothing else, needs `day`, from 1 to 89")
        if (self.kind is Kind.QUANTILE) != (self.quantile is not None) or (
            self.quantile is not None and not 0 < self.quantile < 1
        ):
            raise self._wrong("a quantile, and nothing else, needs `quantile`, between 0 and 1")
        if self.counts and self.kind is not Kind.RATIO:
            raise self._wrong("`counts` is for a ratio")
        if self.cuped and self.kind not in (Kind.CONVERTED, Kind.COUNT, Kind.SUM):
            raise self._wrong("`cuped` is for `converted`, `count` and `sum`")
        if self.role is Role.GUARDRAIL and not self.decides:
            raise self._wrong("a quantile is for display, and cannot be a guardrail")

    @property
    def decides(self) -> bool:
        """Whether it can be what decides a split: one number a visitor."""
        return self.kind is not Kind.QUANTILE

    @property
    def until_seconds(self) -> int:
        """From the assignment until the number of a visitor is final."""
        return (self.day + 1) * 86_400 if self.day is not None else self.window_seconds

    def _wrong(self, why: str) -> InvalidMetric:
        return InvalidMetric(f"the metric {self.name}: {why}")


def parse_duration(text: str) -> int:
    """Return the seconds of `90s`, `30m`, `72h` or `7d`. Raises InvalidMetric."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise InvalidMetric(f"{text[:60]!r} is no duration: write 90s, 30m, 72h or 7d")
    return int(found[1]) * _SECONDS[found[2]]


def duration(seconds: int) -> str:
    """Return seconds as `parse_duration` reads them, in the largest unit that is whole."""
    unit = next(unit for unit in reversed(_SECONDS) if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def implied(event: str, *, valued: bool) -> tuple[Metric, ...]:
    """Return what is measured of an event for which nothing is declared: who did it, and what it was worth."""
    who = Metric(name=MetricName(event), kind=Kind.CONVERTED, events=(event,))
    if not valued:
        return (who,)
    return who, Metric(name=MetricName(f"{event[:58]}.value"), kind=Kind.SUM, events=(event,))
