"""Visitors over time, beside the shares that the weights intended."""

from balancer.charts.scale import wall
from balancer.charts.shares import Phase, Span, shares
from balancer.domain.calendar import TimeZone
from balancer.services.report import Report
from balancer.services.split_detail import VisitorDays
from balancer.views.figure import Figure, Line, drawn
from balancer.views.table import Head, Table, number, whole, word
from balancer.views.written import milliseconds


def visitors_over_time(report: Report, days: VisitorDays) -> Figure:
    """Return who was assigned what on each day, in each phase."""
    zone = TimeZone(days.timezone).rules
    phases = [
        Phase(
            number=phase.number,
            start=milliseconds(phase.started_at),
            intended=tuple(dict(phase.shares).get(branch, 0.0) for branch in days.branches),
        )
        for phase in report.phases
    ]
    spans = [Span(start=each.start, end=each.end, visitors=each.visitors) for each in days.spans]
    # A day on which the weights were changed is two spans: the second stands where it begins.
    begins = {span.day: span.start for span in reversed(days.spans)}
    when = [
        span.day if span.start == begins[span.day] else f"{wall(span.start, zone):%Y-%m-%d %H:%M}"
        for span in days.spans
    ]
    title = "Visitors by day, and the shares that were intended"
    pictures = drawn(lambda width: shares(title, days.branches, spans, phases, width, zone=zone))
    return Figure(
        name="visitors",
        title=title,
        pictures=pictures,
        table=_table(report, days),
        note="By the day of the assignment. Bands are phases; a dashed line is where the edge should be.",
        lines=tuple(
            Line(name=branch, points=tuple(zip(when, (each.visitors[place] for each in days.spans), strict=True)))
            for place, branch in enumerate(days.branches)
        ),
        unit="visitors",
    )


def _table(report: Report, days: VisitorDays) -> Table:
    intended = {phase.number: dict(phase.shares) for phase in report.phases}
    heads = [Head(text="Day", name="day"), Head(text="Phase", name="phase", figures=True)]
    for branch in days.branches:
        heads += [
            Head(text=branch, name=f"{branch} visitors", figures=True),
            Head(text="share", name=f"{branch} share", figures=True),
            Head(text="intended", name=f"{branch} intended", figures=True),
        ]
    rows = []
    for each in days.spans:
        total = sum(each.visitors)
        cells = [word(each.day), whole(each.phase)]
        for branch, visitors in zip(days.branches, each.visitors, strict=True):
            wanted = intended.get(each.phase, {}).get(branch, 0.0)
            cells += [
                whole(visitors),
                number(f"{visitors / total:.2%}", visitors / total) if total else number("", None),
                number(f"{wanted:.2%}", wanted),
            ]
        rows.append(tuple(cells))
    return Table(caption="Visitors by day and phase", heads=tuple(heads), rows=tuple(rows))
