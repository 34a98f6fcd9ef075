"""What the ledger is asked for a metric."""

from balancer.domain.metric import COVARIATE_SECONDS, Kind, Metric
from balancer.stats.cells import Measure, Part, What

_DAY = 86_400_000
_Y = {
    Kind.CONVERTED: What.HAPPENED,
    Kind.COUNT: What.EVENTS,
    Kind.SUM: What.VALUES,
    Kind.MEAN: What.VALUES,
    Kind.RETENTION: What.HAPPENED,
    Kind.FUNNEL: What.HAPPENED,
    Kind.QUANTILE: What.VALUES,
}


def measure_of(metric: Metric) -> Measure:
    """Return how the events of a visitor become the number that `metric` means."""
    events = tuple(map(str, metric.events))  # no names of ours: they are not JSON
    first, last = events[0], events[-1]
    x = None
    if metric.kind is Kind.RATIO:
        y = Part(event=first, what=What.EVENTS if metric.counts else What.VALUES)
        x = Part(event=last, what=What.EVENTS)
    else:
        y = Part(event=last, what=_Y[metric.kind])
        if metric.kind is Kind.MEAN:
            x = Part(event=last, what=What.VALUED)
    return Measure(
        name=str(metric.name),
        y=y,
        x=x,
        steps=events if metric.kind is Kind.FUNNEL else (),
        quantile=metric.quantile,
        since=(metric.day or 0) * _DAY,
        until=metric.until_seconds * 1000,
        sources=tuple(source.value for source in metric.sources),
        cap=metric.cap,
        covariate=COVARIATE_SECONDS * 1000 if metric.cuped else 0,
    )
