"""Findings: by how much each branch differs from the control by the metric that decides, for who reads nothing else.

Invariants:
    * The figures are those of the report's table, of this look.
    * Nothing is found where the sample ratio alarms, or where the data carry no comparison.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.charts.tone import Tone
from balancer.services.outcome import MetricReport
from balancer.stats.compare import Comparison
from balancer.stats.lift import Lift
from balancer.stats.verdict import SplitVerdict, Verdict
from balancer.views.written import difference_of, lifted, tone_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One branch beside the control."""

    metric: str
    branch: str
    difference: str
    """With its interval, and in points where it is of a rate: a percentage would be taken for the lift."""
    lift: str | None
    """With its interval; None where there is none to be told."""
    tone: Tone


def findings_of(primary: MetricReport | None, verdict: SplitVerdict) -> tuple[Finding, ...]:
    """Return what is found of each branch beside the control, the one that the verdict names first."""
    if primary is None or verdict.verdict is Verdict.BROKEN_SPLIT:
        return ()
    return tuple(sorted(_found(primary), key=lambda each: each.branch != verdict.variant))


def foremost_of(primary: MetricReport | None, verdict: SplitVerdict) -> Finding | None:
    """Return what is found of the branch that the verdict names, or of the only one there is beside the control."""
    found = findings_of(primary, verdict)
    return found[0] if found and (len(found) == 1 or found[0].branch == verdict.variant) else None


def _found(primary: MetricReport) -> Iterator[Finding]:
    for outcome in primary.outcomes:
        difference = outcome.difference
        if difference is None or not isinstance(difference.comparison, Comparison):
            continue
        found = difference.comparison
        yield Finding(
            metric=primary.metric,
            branch=outcome.branch,
            difference=_written(found, rate=primary.is_rate),
            lift=lifted(difference.lift) if isinstance(difference.lift, Lift) else None,
            tone=tone_of(found, primary.better, trusted=True),
        )


def _written(found: Comparison, *, rate: bool) -> str:
    if rate:
        return f"{100 * found.difference:+.2f} points [{100 * found.low:+.2f} to {100 * found.high:+.2f}]"
    write = difference_of(rate=False)
    return f"{write(found.difference)} [{write(found.low)} to {write(found.high)}]"
