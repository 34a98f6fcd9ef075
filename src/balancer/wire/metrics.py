"""Metrics."""

from typing import TYPE_CHECKING, Self

from pydantic import Field

from balancer.domain.declaration import declared, written
from balancer.domain.metric import Metric
from balancer.wire.body import Body

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.metrics import Standing


class MetricBody(Body):
    """A metric, by the keys of `[metrics.NAME]` in balancer.toml."""

    kind: str = Field(examples=["sum"])
    event: str | None = None
    numerator: str | None = Field(default=None, description="Of a ratio.")
    denominator: str | None = Field(default=None, description="Of a ratio.")
    steps: list[str] | None = Field(default=None, description="Of a funnel: events, in their order.")
    window: str | None = Field(default=None, description="How long after the assignment events count.", examples=["7d"])
    cap: float | None = Field(default=None, description="Where a visitor's number is cut.")
    sources: list[str] | None = Field(default=None, description="The ones that count; all where there are none.")
    better: str | None = Field(default=None, examples=["lower"])
    guardrail: bool | None = Field(default=None, description="It must not get worse.")
    day: int | None = Field(default=None, description="Of a retention.")
    quantile: float | None = Field(default=None, description="Of a quantile: between 0 and 1.")
    counts: bool | None = Field(default=None, description="Of a ratio: count the first event, add no values up.")
    cuped: bool | None = Field(default=None, description="Narrow the interval by what was done before.")

    def parsed(self, name: str) -> Metric:
        """Return the metric of this name. Raises InvalidMetric, InvalidName."""
        return declared(name, MetricBody.model_dump(self, exclude_none=True, include=set(MetricBody.model_fields)))


class NamedMetric(MetricBody):
    """A metric with its name."""

    name: str

    @classmethod
    def of(cls, metric: Metric) -> Self:
        """Return the body of a metric."""
        return cls.model_validate({"name": str(metric.name), **written(metric)})


class MetricStanding(NamedMetric):
    """A metric with where it is from, and what a split that is not over makes of it."""

    origin: str = Field(description="`manifest`, `command`, or `split`: only that one still has it.")
    split: str | None = Field(description="The split that is not over.")
    counted: NamedMetric | None = Field(description="The metric of this name that this split was begun with, if any.")

    @classmethod
    def standing(cls, found: "Standing") -> Self:
        """Return the body of a metric as it stands."""
        return cls.model_validate(
            {
                **NamedMetric.of(found.metric).model_dump(),
                "origin": found.origin.value,
                "split": found.split.id if found.split else None,
                "counted": NamedMetric.of(found.counted) if found.counted else None,
            }
        )
