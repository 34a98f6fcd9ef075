"""Events by hour, day, week or month: how many, of how many visitors, of what value."""

from dataclasses import dataclass
from itertools import groupby

from balancer.charts.bars import bars
from balancer.charts.panels import Column, Panel
from balancer.domain.calendar import TimeZone
from balancer.services.raw_stats import RawBucket, RawRow, RawStatistics
from balancer.views.figure import Figure, Line, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import milliseconds

NOBODY = "no branch"
"""Events of visitors of whom nothing tells the branch."""
# 200: a table that a person goes through; the CSV has every row.
_ROWS_SHOWN = 200
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


def event_views(found: RawStatistics) -> tuple[EventView, ...]:
    """Return each event of statistics by a unit of time."""
    buckets = {bucket.label: bucket for bucket in found.buckets}
    by_event = {name: list(rows) for name, rows in groupby(_sorted(found.rows), lambda row: row.event)}
    totals = {name: list(rows) for name, rows in groupby(_sorted(found.totals), lambda row: row.event)}
    return tuple(_view(found, name, by_event.get(name, []), totals[name], buckets) for name in totals)


def _sorted(rows: tuple[RawRow, ...]) -> list[RawRow]:
    return sorted(rows, key=lambda row: row.event)


def _view(
    found: RawStatistics, event: str, rows: list[RawRow], totals: list[RawRow], buckets: dict[str, RawBucket]
) -> EventView:
    zone = TimeZone(found.timezone).rules
    unit = found.by.value if found.by else "time"
    panels, lines = [], []
    for total in sorted(totals, key=lambda row: row.branch or "~"):
        own = [row for row in rows if row.branch == total.branch and row.bucket is not None]
        spans = [(buckets[row.bucket], row) for row in own if row.bucket in buckets]
        name = total.branch or NOBODY
        columns = tuple(
            Column(
                start=milliseconds(bucket.start),
                end=milliseconds(bucket.end),
                height=row.count,
                text=f"{bucket.label}: {row.count:,} events of {row.visitors:,} visitors",
            )
            for bucket, row in spans
        )
        note = f"{total.count:,} events of {total.visitors:,} visitors"
        panels.append(Panel(name=name, columns=columns, note=note))
        lines.append(Line(name=name, points=tuple((milliseconds(bucket.start), row.count) for bucket, row in spans)))
    title = f"{event} by {unit}"
    pictures = drawn(lambda width: bars(title, panels, width, zone=zone))
    table = Table(caption=title, heads=_HEADS, rows=tuple(_cells(row) for row in rows))
    return EventView(
        event=event,
        figure=Figure(name=f"event-{event}", title=title, pictures=pictures, table=table, lines=tuple(lines)),
        totals=Table(
            caption=f"{event} in the whole range",
            heads=_HEADS[1:],
            rows=tuple(_cells(row)[1:] for row in totals),
        ),
        left_out=max(len(rows) - _ROWS_SHOWN, 0),
    )


def _cells(row: RawRow) -> tuple[Cell, ...]:
    return (
        word(row.bucket or ""),
        word(row.branch or NOBODY),
        whole(row.count),
        whole(row.visitors),
        whole(row.valued),
        number("" if row.mean is None else f"{row.mean:.4g}", row.mean),
        number("" if row.sd is None else f"{row.sd:.4g}", row.sd),
    )
