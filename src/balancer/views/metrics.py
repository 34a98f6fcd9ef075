"""Metrics: the forest plot and the table of each, by variant."""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.charts.forest import Row, forest
from balancer.charts.funnel import Lane, funnel
from balancer.charts.tone import Tone
from balancer.domain.metric import Better, Kind, Role, duration
from balancer.services.outcome import Difference, MetricReport, Outcome
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive, Interval
from balancer.stats.compare import Comparison
from balancer.stats.lift import Lift
from balancer.views.figure import Figure, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import axis_of, chance, compared, difference_of, lifted, tone_of, value_of

_HEADS = (
    Head(text="Branch", name="branch"),
    Head(text="Visitors", name="visitors", figures=True),
    Head(text="Mature", name="mature", figures=True),
    Head(text="Events", name="events", figures=True),
    Head(text="Converted", name="converted", figures=True),
)
_COMPARED = (
    Head(text="Interval", name="interval", figures=True),
    Head(text="Less the control", name="difference", figures=True),
    Head(text="Lift", name="lift", figures=True),
    Head(text="p", name="p", figures=True),
    Head(text="Reading", name="reading"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    """One metric."""

    metric: MetricReport
    what: str
    """What it counts, and how."""
    forest: Figure
    funnel: Figure | None
    notes: tuple[str, ...]


def metric_views(report: Report) -> tuple[MetricView, ...]:
    """Return each metric of a report, what decides first."""
    return tuple(_view(report, metric) for metric in report.metrics)


def _view(report: Report, metric: MetricReport) -> MetricView:
    return MetricView(
        metric=metric,
        what=", ".join(_what(metric)),
        forest=_forest(report, metric),
        funnel=_funnel(metric) if metric.kind is Kind.FUNNEL else None,
        notes=tuple(note for outcome in metric.outcomes for note in _notes(metric, outcome)),
    )


def _forest(report: Report, metric: MetricReport) -> Figure:
    trusted, rate = not report.sample_ratio.alarm, metric.is_rate
    rows = [
        _row(outcome.branch, outcome.difference, metric, trusted=trusted)
        for outcome in metric.outcomes
        if outcome.difference is not None
    ]
    title = f"{metric.metric}, less {report.control}"
    pictures = drawn(
        lambda width: forest(
            title,
            rows,
            width,
            control=report.control,
            written=difference_of(rate=rate),
            axis=axis_of(rate=rate),
        )
    )
    return Figure(name=f"metric-{metric.metric}", title=title, pictures=pictures, table=_table(report, metric))


def _row(branch: str, difference: Difference, metric: MetricReport, *, trusted: bool) -> Row:
    found = difference.comparison
    if isinstance(found, Inconclusive):
        return Row(name=branch, difference=None, note=found.reason.value)
    tone = tone_of(found, metric.better, trusted=trusted)
    return Row(name=branch, difference=found.difference, low=found.low, high=found.high, tone=tone)


def _table(report: Report, metric: MetricReport) -> Table:
    if metric.kind is Kind.QUANTILE:
        return Table(
            caption=f"{metric.metric} by branch",
            heads=(*_HEADS[:4], Head(text="Value", name="value", figures=True)),
            rows=tuple(
                (
                    word(outcome.branch),
                    *(whole(count) for count in (outcome.visitors, outcome.mature, outcome.events)),
                    number("" if outcome.quantile is None else f"{outcome.quantile:.4g}", outcome.quantile),
                )
                for outcome in metric.outcomes
            ),
        )
    name = "Rate" if metric.is_rate else "Ratio" if metric.kind in (Kind.MEAN, Kind.RATIO) else "Mean of a visitor"
    heads = (
        *_HEADS,
        Head(text=name, name="value", figures=True),
        Head(text="SD", name="sd", figures=True),
        *_COMPARED,
    )
    trusted = not report.sample_ratio.alarm
    rows = (tuple(_cells(report, metric, outcome, trusted=trusted)) for outcome in metric.outcomes)
    return Table(caption=f"{metric.metric} by branch", heads=heads, rows=tuple(rows))


def _cells(report: Report, metric: MetricReport, outcome: Outcome, *, trusted: bool) -> Iterator[Cell]:
    rate = metric.is_rate
    write = value_of(rate=rate)
    yield word(outcome.branch)
    for count in (outcome.visitors, outcome.mature, outcome.events, outcome.converted):
        yield whole(count)
    yield number("" if outcome.value is None else write(outcome.value), outcome.value)
    yield number("" if outcome.sd is None else f"{outcome.sd:.4g}", outcome.sd)
    own = outcome.interval
    yield number(f"{write(own.low)} to {write(own.high)}", own.mean) if isinstance(own, Interval) else word("–")
    difference = outcome.difference
    if difference is None:
        yield from (word(""), word(""), word(""), word("control" if outcome.branch == report.control else ""))
        return
    found = difference.comparison
    tone = tone_of(found, metric.better, trusted=trusted)
    kind = "" if tone is Tone.OPEN else f"tone-{tone.value}"
    raw = found.difference if isinstance(found, Comparison) else None
    yield Cell(text=compared(found, rate=rate), raw=raw, kind=kind)
    yield Cell(text=lifted(difference.lift), raw=difference.lift.lift if isinstance(difference.lift, Lift) else None)
    yield number(chance(found.p), found.p) if isinstance(found, Comparison) else word("–")
    yield word(difference.reading.value, kind)


def _funnel(metric: MetricReport) -> Figure:
    lanes = [Lane(name=each.branch, visitors=each.visitors, reached=each.reached) for each in metric.outcomes]
    title = f"The steps of {metric.metric}"
    pictures = drawn(lambda width: funnel(title, metric.events, lanes, width))
    heads = (
        Head(text="Branch", name="branch"),
        Head(text="Visitors", name="visitors", figures=True),
        *(Head(text=event, name=event, figures=True) for event in metric.events),
    )
    rows = tuple(
        (
            word(lane.name),
            whole(lane.visitors),
            *(whole(lane.reached[place] if place < len(lane.reached) else 0) for place in range(len(metric.events))),
        )
        for lane in lanes
    )
    table = Table(caption=f"Visitors who reached each step of {metric.metric}", heads=heads, rows=rows)
    return Figure(name=f"funnel-{metric.metric}", title=title, pictures=pictures, table=table)


def _what(metric: MetricReport) -> Iterator[str]:
    if metric.primary:
        yield "decides"
    elif metric.role is Role.GUARDRAIL:
        yield "guardrail"
    events = metric.events
    match metric.kind:
        case Kind.RATIO:
            yield f"{events[0]} by {events[1]}"
        case Kind.FUNNEL:
            yield " → ".join(events)
        case Kind.CONVERTED if events == (metric.metric,):
            yield "who did it"
        case kind:
            yield f"{kind.value} of {events[0]}"
    yield f"within {duration(metric.window_seconds)} of the assignment"
    if metric.better is Better.LOWER:
        yield "lower is better"
    if metric.cap is not None:
        yield f"cut at {metric.cap:g}"
    if metric.cuped:
        yield "CUPED"


def _notes(metric: MetricReport, outcome: Outcome) -> Iterator[str]:
    difference = outcome.difference
    if difference is None:
        return
    if difference.chance is not None:
        yield f"{outcome.branch}: chance to be the better one {difference.chance.to_win:.1%}, for display"
    if difference.adjusted_p is not None:
        yield f"{outcome.branch}: p {chance(difference.adjusted_p)}, corrected for the metrics that do not decide"
    early = difference.preliminary
    if isinstance(early, Comparison):
        told = compared(early, rate=metric.is_rate)
        yield f"{outcome.branch}: with young visitors {told}; nothing is decided on it"
