"""Metrics: what can be declared, and what cannot."""

import pytest

from balancer.domain.event import VALUE_LIMIT
from balancer.domain.metric import Better, Kind, Metric, MetricName, Role, implied, parse_duration
from balancer.errors import InvalidMetric, InvalidName


def metric(kind: Kind, *events: str, **more: object) -> Metric:
    return Metric(name=MetricName("m"), kind=kind, events=events, **more)  # type: ignore[arg-type]


def test_a_metric_of_one_event_needs_only_that() -> None:
    found = metric(Kind.SUM, "purchase")
    assert (found.window_seconds, found.better, found.role) == (72 * 3600, Better.HIGHER, Role.GOAL)
    assert found.decides


@pytest.mark.parametrize(
    ("kind", "events", "more", "why"),
    [
        (Kind.CONVERTED, (), {}, "needs 1 event, not 0"),
        (Kind.SUM, ("a", "b"), {}, "needs 1 event, not 2"),
        (Kind.RATIO, ("a",), {}, "needs 2 events, not 1"),
        (Kind.FUNNEL, ("a",), {}, "needs 2 to 8 events, not 1"),
        (Kind.FUNNEL, ("a", "b", "a"), {}, "names each event once"),
        (Kind.SUM, ("a",), {"window_seconds": 0}, "the window must be"),
        (Kind.SUM, ("a",), {"window_seconds": 91 * 86_400}, "the window must be"),
        (Kind.SUM, ("a",), {"cap": 0.0}, "a cap must be above 0"),
        (Kind.SUM, ("a",), {"cap": float("nan")}, "a cap must be above 0"),
        (Kind.SUM, ("a",), {"cap": VALUE_LIMIT * 2}, "a cap must be above 0"),
        (Kind.CONVERTED, ("a",), {"cap": 5.0}, "is for `sum` and `count`"),
        (Kind.RETENTION, ("a",), {}, "needs `day`"),
        (Kind.RETENTION, ("a",), {"day": 0}, "needs `day`"),
        (Kind.SUM, ("a",), {"day": 1}, "needs `day`"),
        (Kind.QUANTILE, ("a",), {}, "needs `quantile`"),
        (Kind.QUANTILE, ("a",), {"quantile": 1.0}, "between 0 and 1"),
        (Kind.QUANTILE, ("a",), {"quantile": 0.5, "role": Role.GUARDRAIL}, "cannot be a guardrail"),
        (Kind.SUM, ("a",), {"counts": True}, "`counts` is for a ratio"),
        (Kind.MEAN, ("a",), {"cuped": True}, "`cuped` is for"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    kind: Kind, events: tuple[str, ...], more: dict[str, object], why: str
) -> None:
    with pytest.raises(InvalidMetric, match=f"the metric m: .*{why}"):
        metric(kind, *events, **more)


def test_an_event_has_to_be_a_name() -> None:
    with pytest.raises(InvalidName):
        metric(Kind.SUM, "no name")
    assert metric(Kind.CONVERTED, "$error").events == ("$error",)


def test_a_retention_is_final_when_its_day_is_over() -> None:
    assert metric(Kind.RETENTION, "visit", day=7).until_seconds == 8 * 86_400


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("72h", 259_200), ("7d", 604_800)])
def test_durations_have_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "72", "0h", "-1h", "1.5h", "1w", "1h30m", "99999999s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidMetric, match="is no duration"):
        parse_duration(text)


def test_an_event_for_which_nothing_is_declared_is_measured_by_who_did_it_and_what_it_was_worth() -> None:
    assert [(each.name, each.kind) for each in implied("purchase", valued=True)] == [
        ("purchase", Kind.CONVERTED),
        ("purchase.value", Kind.SUM),
    ]
    assert [each.name for each in implied("p" * 64, valued=False)] == ["p" * 64]
