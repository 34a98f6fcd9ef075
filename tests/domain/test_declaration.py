"""Metrics as people write them: what is written declares the same again, and what does not hold is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.declaration import KEYS, METRICS_LIMIT, check_metrics, declared, overlaid, written
from balancer.domain.event import EventSource
from balancer.domain.metric import Better, Kind, Metric, MetricName, Role, duration, parse_duration
from balancer.errors import InvalidMetric, InvalidName

EVENTS = ("visit", "cart", "purchase", "$error", "a:b-c.d")


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    """Any metric that there can be."""
    kind = draw(st.sampled_from(Kind))
    count = {Kind.RATIO: 2, Kind.FUNNEL: 3}.get(kind, 1)
    more: dict[str, Any] = {}
    if kind is Kind.RETENTION:
        more["day"] = draw(st.integers(1, 89))
    else:
        more["window_seconds"] = draw(st.integers(1, 90 * 86_400))
    if kind is Kind.QUANTILE:
        more["quantile"] = draw(st.floats(0.01, 0.99))
    else:
        more["role"] = draw(st.sampled_from(Role))
    if kind in (Kind.SUM, Kind.COUNT):
        more["cap"] = draw(st.none() | st.floats(0.5, 1e12))
    if kind in (Kind.CONVERTED, Kind.COUNT, Kind.SUM):
        more["cuped"] = draw(st.booleans())
    if kind is Kind.RATIO:
        more["counts"] = draw(st.booleans())
    return Metric(
        name=MetricName(draw(st.sampled_from(["revenue", "m", "a.b"]))),
        kind=kind,
        events=tuple(draw(st.permutations(EVENTS))[:count]),
        sources=tuple(draw(st.lists(st.sampled_from(EventSource), unique=True))),
        better=draw(st.sampled_from(Better)),
        **more,
    )


@given(metrics())
def test_what_is_written_declares_the_same_metric(metric: Metric) -> None:
    said = written(metric)
    assert declared(metric.name, said) == metric
    assert set(said) <= set(KEYS)


@given(st.integers(1, 9_999_999))
def test_a_duration_is_read_as_it_was_written(seconds: int) -> None:
    assert parse_duration(duration(seconds)) == seconds


def test_a_duration_is_written_in_its_largest_unit() -> None:
    assert [duration(seconds) for seconds in (90, 1800, 3600, 72 * 3600, 604_800)] == ["90s", "30m", "1h", "3d", "7d"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"kind": "average", "event": "a"}, 'kind = "average": there are converted, count, sum'),
        ({"kind": ["sum"], "event": "a"}, "kind = "),
        ({"event": "a"}, "it has no `kind`: there are converted"),
        ({"kind": "sum"}, "a sum needs `event`"),
        ({"kind": "sum", "event": "a", "steps": ["a"]}, "a sum has no `steps`; it needs `event`"),
        ({"kind": "ratio", "event": "a"}, "a ratio has no `event`; it needs `numerator` and `denominator`"),
        ({"kind": "ratio", "numerator": "a"}, "a ratio needs `numerator` and `denominator`"),
        ({"kind": "funnel", "steps": "a"}, 'steps = "a" must be a list of texts'),
        ({"kind": "funnel", "steps": ["a", 5]}, "must be a list of texts"),
        ({"kind": "sum", "event": 5}, "event = 5 must be a text"),
        ({"kind": "sum", "event": "a", "window": 72}, "window = 72 must be a text"),
        ({"kind": "sum", "event": "a", "window": "72"}, "window: '72' is no duration"),
        ({"kind": "sum", "event": "a", "window": "91d"}, "the window must be from 1 s to 90 days"),
        ({"kind": "retention", "event": "a", "day": 7, "window": "7d"}, "a retention has no `window`"),
        ({"kind": "sum", "event": "a", "cap": "500"}, 'cap = "500" must be a number'),
        ({"kind": "sum", "event": "a", "cap": True}, "cap = true must be a number"),
        ({"kind": "sum", "event": "a", "sources": ["mail"]}, 'sources = "mail": there are header, beacon'),
        ({"kind": "sum", "event": "a", "better": "more"}, 'better = "more": there are higher, lower'),
        ({"kind": "sum", "event": "a", "guardrail": "yes"}, 'guardrail = "yes" must be true or false'),
        ({"kind": "retention", "event": "a", "day": 1.5}, "day = 1.5 must be a whole number"),
        ({"kind": "sum", "event": "a", "capp": 5}, "nothing is called 'capp'"),
    ],
)
def test_what_does_not_hold_is_named(said: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidMetric, match=why):
        declared("m", said)


def test_names_that_are_ours_are_not_to_be_had() -> None:
    with pytest.raises(InvalidMetric, match="names that begin with"):
        declared("$m", {"kind": "sum", "event": "a"})
    with pytest.raises(InvalidName, match="is no name for a metric"):
        declared("a b", {"kind": "sum", "event": "a"})


def test_what_is_above_wins_and_all_are_by_name() -> None:
    def metric(name: str, event: str) -> Metric:
        return declared(name, {"kind": "sum", "event": event})

    found = overlaid([metric("z", "a"), metric("m", "a")], [metric("m", "b"), metric("c", "b")])
    assert [(metric.name, metric.events) for metric in found] == [("c", ("b",)), ("m", ("b",)), ("z", ("a",))]


def test_there_are_not_more_metrics_than_a_table_shows() -> None:
    many = [declared(f"m{number}", {"kind": "sum", "event": "a"}) for number in range(METRICS_LIMIT + 1)]
    check_metrics(many[1:])
    with pytest.raises(InvalidMetric, match="there are 51 metrics, and 50 are possible"):
        check_metrics(many)
