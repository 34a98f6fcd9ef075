"""Metrics as people write them: in the manifest, by command, in the API, and in the registry, all alike.

Invariants:
    * What is written and what it declares give each other back: `declared(name, written(metric)) == metric`.
    * A key that does nothing for its kind of metric is an error, not passed over.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar

from balancer.domain.event import EventSource
from balancer.domain.literal import literal
from balancer.domain.metric import Better, Kind, Metric, MetricName, Role, duration, parse_duration
from balancer.errors import InvalidMetric

# 50: with more of them by chance alone some seem to differ in every split, and nobody reads so long a table.
METRICS_LIMIT = 50
_Choice = TypeVar("_Choice", bound=Enum)
_EVENT_KEYS = {Kind.RATIO: ("numerator", "denominator"), Kind.FUNNEL: ("steps",)}
_ONE_EVENT = ("event",)
KEYS = (
    *("kind", *_ONE_EVENT, *_EVENT_KEYS[Kind.RATIO], *_EVENT_KEYS[Kind.FUNNEL]),
    *("window", "cap", "sources", "better", "guardrail", "day", "quantile", "counts", "cuped"),
)
"""Every key that a metric may be written with."""


def declared(name: str, said: Mapping[str, object]) -> Metric:
    """Return the metric that is written so. Raises InvalidMetric, InvalidName; a message says which key was wrong."""
    if name.startswith("$"):
        raise InvalidMetric(f"{name[:60]!r}: names that begin with $ are ours; let it begin with a letter")
    for key in said:
        if key not in KEYS:
            raise InvalidMetric(f"nothing is called {key!r}; there are {', '.join(KEYS)}")
    kind = _one_of("kind", said.get("kind"), Kind)
    keys = _EVENT_KEYS.get(kind, _ONE_EVENT)
    for key in (*_ONE_EVENT, *_EVENT_KEYS[Kind.RATIO], *_EVENT_KEYS[Kind.FUNNEL]):
        if (key in said) != (key in keys):
            verb = "needs" if key in keys else f"has no `{key}`; it needs"
            raise InvalidMetric(f"a {kind} {verb} {' and '.join(f'`{each}`' for each in keys)}")
    if kind is Kind.RETENTION and "window" in said:
        raise InvalidMetric("a retention has no `window`: its `day` says when events count")
    events = _texts("steps", said["steps"]) if kind is Kind.FUNNEL else tuple(_text(key, said[key]) for key in keys)
    window = {} if "window" not in said else {"window_seconds": _seconds("window", said["window"])}
    return Metric(
        name=MetricName(name),
        kind=kind,
        events=events,
        cap=_number("cap", said.get("cap")),
        sources=tuple(_one_of("sources", each, EventSource) for each in _texts("sources", said.get("sources", []))),
        better=_one_of("better", said.get("better", Better.HIGHER.value), Better),
        role=Role.GUARDRAIL if _flag("guardrail", said) else Role.GOAL,
        day=_whole_number("day", said.get("day")),
        quantile=_number("quantile", said.get("quantile")),
        counts=_flag("counts", said),
        cuped=_flag("cuped", said),
        **window,
    )


def written(metric: Metric) -> dict[str, object]:
    """Return what declares a metric, without what goes without saying but its window."""
    keys = _EVENT_KEYS.get(metric.kind, _ONE_EVENT)
    events = (
        {"steps": list(metric.events)} if metric.kind is Kind.FUNNEL else dict(zip(keys, metric.events, strict=True))
    )
    said: dict[str, object] = {"kind": metric.kind.value, **events}
    if metric.kind is not Kind.RETENTION:
        said["window"] = duration(metric.window_seconds)
    said |= {
        key: value
        for key, value in (("cap", metric.cap), ("day", metric.day), ("quantile", metric.quantile))
        if value is not None
    }
    if metric.sources:
        said["sources"] = [source.value for source in metric.sources]
    if metric.better is not Better.HIGHER:
        said["better"] = metric.better.value
    flags = {"guardrail": metric.role is Role.GUARDRAIL, "counts": metric.counts, "cuped": metric.cuped}
    return said | {key: True for key, value in flags.items() if value}


def overlaid(below: Iterable[Metric], above: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return every metric of both, by name; those `above` win."""
    found = {metric.name: metric for metric in (*below, *above)}
    return tuple(found[name] for name in sorted(found))


def check_metrics(metrics: Iterable[Metric]) -> None:
    """Raise InvalidMetric where there are too many, or two of one name."""
    names = [metric.name for metric in metrics]
    if len(names) > METRICS_LIMIT:
        raise InvalidMetric(f"there are {len(names)} metrics, and {METRICS_LIMIT} are possible")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidMetric(f"the metric {twice} is declared twice")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidMetric(f"{key} = {literal(value)} must be a text")
    return value


def _seconds(key: str, value: object) -> int:
    try:
        return parse_duration(_text(key, value))
    except InvalidMetric as reason:
        raise InvalidMetric(f"{key}: {reason}") from reason


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise InvalidMetric(f"{key} = {literal(value)} must be a list of texts")
    return tuple(value)


def _number(key: str, value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InvalidMetric(f"{key} = {literal(value)} must be a number")
    return value


def _whole_number(key: str, value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidMetric(f"{key} = {literal(value)} must be a whole number")
    return value


def _flag(key: str, said: Mapping[str, object]) -> bool:
    value = said.get(key, False)
    if not isinstance(value, bool):
        raise InvalidMetric(f"{key} = {literal(value)} must be true or false")
    return value


def _one_of(key: str, value: object, kind: type[_Choice]) -> _Choice:
    values = [each.value for each in kind]
    if value not in values:
        said = f"it has no `{key}`" if value is None else f"{key} = {literal(value)}"
        raise InvalidMetric(f"{said}: there are {', '.join(values)}")
    return kind(value)
