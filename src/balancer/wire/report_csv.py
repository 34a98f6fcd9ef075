"""Reports as CSV: a line for each metric and branch; fractions where people are shown percent."""

import csv
import io

from balancer.domain.metric import Kind
from balancer.services.outcome import MetricReport, Outcome
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive, Interval
from balancer.stats.lift import Lift

_COLUMNS = (
    *("split", "looked_at", "metric", "kind", "primary", "branch", "visitors", "mature", "events", "converted"),
    *("value", "sd", "low", "high", "difference", "difference_low", "difference_high", "p", "adjusted_p"),
    *("lift", "lift_low", "lift_high", "chance", "needed", "reading", "reason"),
)


def csv_of(report: Report) -> str:
    """Return a report as CSV, a line for each metric and branch; fractions, not percent."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for metric in report.metrics:
        for outcome in metric.outcomes:
            rows.writerow(_csv_row(report, metric, outcome))
    return text.getvalue()


def _csv_row(report: Report, metric: MetricReport, outcome: Outcome) -> list[object]:
    known: list[object] = [
        report.split,
        report.looked_at,
        metric.metric,
        metric.kind.value,
        metric.primary,
        outcome.branch,
    ]
    known += [outcome.visitors, outcome.mature, outcome.events, outcome.converted]
    known += [outcome.quantile if metric.kind is Kind.QUANTILE else outcome.value, outcome.sd]
    own = outcome.interval
    known += [own.low, own.high] if isinstance(own, Interval) else [None, None]
    difference = outcome.difference
    if difference is None:
        return [*known, *([None] * (len(_COLUMNS) - len(known)))]
    found, lift = difference.comparison, difference.lift
    if isinstance(found, Inconclusive):
        known += [None] * 4
    else:
        known += [found.difference, found.low, found.high, found.p]
    known += [difference.adjusted_p]
    known += [lift.lift, lift.low, lift.high] if isinstance(lift, Lift) else [None] * 3
    known += [difference.chance.to_win if difference.chance else None, difference.needed, difference.reading.value]
    return [*known, found.reason.value if isinstance(found, Inconclusive) else None]
