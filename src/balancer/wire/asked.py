"""What somebody asks a split's page for, in its address."""

import math

from pydantic import Field, field_validator

from balancer.domain.calendar import Unit
from balancer.domain.metric import MetricName
from balancer.errors import InvalidInput
from balancer.services.planning import Wish
from balancer.wire.body import Body

_LIMIT = 100


class Asked(Body):
    """Which figures a split's page shows."""

    by: Unit = Field(default=Unit.DAY, description="How long a bucket of events is.")
    dimension: str | None = Field(default=None, max_length=_LIMIT, description="What one metric is cut by.")
    of: str | None = Field(default=None, max_length=_LIMIT, description="That metric; if not given what decides.")
    values: str | None = Field(default=None, max_length=_LIMIT, description="The metric whose distribution is shown.")
    effect: str | None = Field(default=None, max_length=_LIMIT, description="Of a plan: what is to be seen, as 10%.")
    metric: str | None = Field(default=None, max_length=_LIMIT, description="Of a plan: what is to decide.")
    baseline: str | None = Field(default=None, max_length=_LIMIT, description="Of a plan: the rate there is, as 5%.")
    visitors: str | None = Field(default=None, max_length=_LIMIT, description="Of a plan: visitors a day.")

    @field_validator("dimension", "of", "values", "effect", "metric", "baseline", "visitors", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        """Take a field of a form that was left empty for one that is not there."""
        return None if isinstance(value, str) and not value.strip() else value

    def wish(self) -> Wish | None:
        """Return what is to be planned; None where nothing is. Raises InvalidInput, InvalidName."""
        if self.effect is None:
            return None
        return Wish(
            effect=number_in("effect", self.effect) / 100,
            relative=True,
            metric=MetricName(self.metric) if self.metric else None,
            baseline=None if self.baseline is None else number_in("rate", self.baseline) / 100,
            visitors_a_day=None if self.visitors is None else number_in("visitors a day", self.visitors),
        )


def number_in(what: str, text: str) -> float:
    """Return a number that somebody typed, such as `10`, `2.5` or `10%`; `what` is its name. Raises InvalidInput."""
    try:
        number = float(text.strip().removesuffix("%").replace(",", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"the {what}, {text[:60]!r}, is no number; write it as 10, or 2.5")
    return number
