"""What the ledger is asked for each kind of metric."""

import msgspec
import pytest

from balancer.domain.event import EventName, EventSource
from balancer.domain.metric import Kind, Metric, MetricName, implied
from balancer.services.measures import measure_of
from balancer.stats.cells import Part, What

_HOUR = 3_600_000


def metric(kind: Kind, *events: str, **more: object) -> Metric:
    return Metric(name=MetricName("m"), kind=kind, events=events, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "y", "x"),
    [
        (metric(Kind.CONVERTED, "buy"), Part(event="buy", what=What.HAPPENED), None),
        (metric(Kind.COUNT, "buy"), Part(event="buy", what=What.EVENTS), None),
        (metric(Kind.SUM, "buy"), Part(event="buy", what=What.VALUES), None),
        (
            metric(Kind.MEAN, "buy"),
            Part(event="buy", what=What.VALUES),
            Part(event="buy", what=What.VALUED),
        ),
        (
            metric(Kind.RATIO, "buy", "visit"),
            Part(event="buy", what=What.VALUES),
            Part(event="visit", what=What.EVENTS),
        ),
        (
            metric(Kind.RATIO, "buy", "visit", counts=True),
            Part(event="buy", what=What.EVENTS),
            Part(event="visit", what=What.EVENTS),
        ),
    ],
)
def test_a_metric_is_one_number_a_visitor_or_a_ratio_of_two(asked: Metric, y: Part, x: Part | None) -> None:
    found = measure_of(asked)
    assert (found.y, found.x, found.since, found.until) == (y, x, 0, 72 * _HOUR)


def test_a_retention_looks_at_its_day_only() -> None:
    found = measure_of(metric(Kind.RETENTION, "visit", day=2))
    assert (found.since, found.until) == (48 * _HOUR, 72 * _HOUR)


def test_a_funnel_has_its_steps() -> None:
    assert measure_of(metric(Kind.FUNNEL, "visit", "buy")).steps == ("visit", "buy")


def test_sources_caps_quantiles_and_covariates_are_passed_on() -> None:
    found = measure_of(metric(Kind.SUM, "buy", sources=(EventSource.HEADER,), cap=50.0, cuped=True))
    assert (found.sources, found.cap, found.covariate) == (("header",), 50.0, 14 * 24 * _HOUR)
    assert measure_of(metric(Kind.QUANTILE, "buy", quantile=0.9)).quantile == 0.9


def test_what_is_asked_goes_over_the_socket_also_of_an_event_that_nobody_declared() -> None:
    (metric,) = implied(EventName("purchase"), valued=False)
    assert msgspec.json.decode(msgspec.json.encode(measure_of(metric)))["y"]["event"] == "purchase"
