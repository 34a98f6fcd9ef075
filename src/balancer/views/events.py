"""Events by hour, day, week or month: how many, of how many visitors, of what value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from balancer.charts.bars import bars
from balancer.charts.dates import Grain
from balancer.charts.panels import Column, Panel
from balancer.domain.calendar import TimeZone, Unit, shown
from balancer.services.raw_stats import RawBucket, RawRow, RawStatistics
from balancer.views.figure import Figure, Line, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import counted, milliseconds

NOBODY = "no branch"
"""Events of visitors of whom nothing tells the branch."""
# 200: a table that a person goes through; the CSV has every row.
_ROWS_SHOWN = 200
_WHEN = {Unit.HOUR: "Hour from", Unit.DAY: "Day", Unit.WEEK: "Week from", Unit.MONTH: "Month"}
_HEADS = (
    Head(text="When", name="bucket"),
    Head(text="Branch", name="branch"),
    Head(text="Events", name="count", figures=True),
    Head(text="Visitors", name="visitors", figures=True),
    Head(text="With a value", name="valued", figures=True),
    Head(text="Mean", name="mean", figures=True),
    Head(text="SD", name="sd", figures=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One event."""

    event: str
    figure: Figure
    totals: Table
    left_out: int
    """Rows that only the CSV has."""


@dataclass(frozen=True, slots=True)
class _Time:
    """An hour, day, week or month, and how it is called."""

    start: int
    end: int
    """Milliseconds since 1970."""
    name: str
    place: int | str
    """Where a line has it: an hour at its moment, a day by its date."""


def event_views(
    found: RawStatistics, clock: TimeZone | None = None, branches: Sequence[str] = ()
) -> tuple[EventView, ...]:
    """Return each event of statistics by a unit of time.

    `branches` are those of the split, in the order in which every chart has them: each has its colour by its place, so
    that it has a panel also without an event. Days are those of the app's zone; hours are shown as a clock of `clock`
    does, None: of that zone too.
    """
    zone = TimeZone(found.timezone)
    clock = clock if clock and found.by is Unit.HOUR else zone
    times = {bucket.label: _time(bucket, found.by, clock) for bucket in found.buckets}
    by_event = {name: list(rows) for name, rows in groupby(_sorted(found.rows), lambda row: row.event)}
    totals = {name: list(rows) for name, rows in groupby(_sorted(found.totals), lambda row: row.event)}
    return tuple(
        _view(found, name, by_event.get(name, []), _in_order(totals[name], name, branches), times, clock)
        for name in totals
    )


def _in_order(totals: list[RawRow], event: str, branches: Sequence[str]) -> list[RawRow]:
    """Return the totals of an event in the order of the branches, and what nothing is told the branch of in the end."""
    known = {row.branch: row for row in totals}
    every = [*branches, *sorted(row.branch for row in totals if row.branch and row.branch not in branches)]
    of_branches = [known.get(branch) or _none(event, branch) for branch in every]
    return [*of_branches, *(row for row in totals if row.branch is None)]


def _none(event: str, branch: str) -> RawRow:
    return RawRow(event=event, branch=branch, bucket=None, count=0, valued=0, mean=None, sd=None, visitors=0)


def _time(bucket: RawBucket, unit: Unit | None, clock: TimeZone) -> _Time:
    start, end = milliseconds(bucket.start), milliseconds(bucket.end)
    if unit is not Unit.HOUR:
        return _Time(start, end, bucket.label, bucket.label)
    return _Time(start, end, _hour(bucket.start, clock), start)


def _hour(start: str, clock: TimeZone) -> str:
    """Return an hour as people read it, with its distance from UTC: the one that comes twice is two."""
    text = shown(clock, datetime.fromisoformat(start))
    return f"{text[:10]} {text[11:16]} {text[16:]}"


def _sorted(rows: tuple[RawRow, ...]) -> list[RawRow]:
    return sorted(rows, key=lambda row: row.event)


def _view(
    found: RawStatistics,
    event: str,
    rows: list[RawRow],
    totals: list[RawRow],
    times: Mapping[str, _Time],
    clock: TimeZone,
) -> EventView:
    unit = found.by.value if found.by else "time"
    grain = Grain(found.by.value) if found.by else None
    panels, lines = [], []
    for total in totals:
        own = [row for row in rows if row.branch == total.branch]
        spans = [(times[row.bucket], row) for row in own if row.bucket is not None and row.bucket in times]
        name = total.branch or NOBODY
        columns = tuple(
            Column(
                start=time.start,
                end=time.end,
                height=row.count,
                text=f"{time.name}: {_told(row)}",
            )
            for time, row in spans
        )
        panels.append(Panel(name=name, columns=columns, note=_told(total)))
        lines.append(Line(name=name, points=tuple((time.place, row.count) for time, row in spans)))
    title = f"{event} by {unit}"
    pictures = drawn(lambda width: bars(title, panels, width, zone=clock.rules, grain=grain))
    when = replace(_HEADS[0], text=_WHEN[found.by]) if found.by else _HEADS[0]
    table = Table(caption=title, heads=(when, *_HEADS[1:]), rows=tuple(_cells(row, times) for row in rows))
    return EventView(
        event=event,
        figure=Figure(
            name=f"event-{event}", title=title, pictures=pictures, table=table, lines=tuple(lines), unit="events"
        ),
        totals=Table(
            caption=f"{event} in the whole range",
            heads=_HEADS[1:],
            rows=tuple(_cells(row, {})[1:] for row in totals),
        ),
        left_out=max(len(rows) - _ROWS_SHOWN, 0),
    )


def _told(row: RawRow) -> str:
    return f"{counted(row.count, 'event')} of {counted(row.visitors, 'visitor')}"


def _cells(row: RawRow, times: Mapping[str, _Time]) -> tuple[Cell, ...]:
    bucket = row.bucket or ""
    return (
        Cell(text=times[bucket].name if bucket in times else bucket, raw=bucket),
        word(row.branch or NOBODY),
        whole(row.count),
        whole(row.visitors),
        whole(row.valued),
        number("" if row.mean is None else f"{row.mean:.4g}", row.mean),
        number("" if row.sd is None else f"{row.sd:.4g}", row.sd),
    )
