"""Plans of splits."""

from typing import TYPE_CHECKING

from pydantic import Field

from balancer.domain.metric import MetricName
from balancer.wire.body import Body

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.planning import Wish


class WishBody(Body):
    """What somebody wants a split to show, and what they know already; in the query."""

    effect: float = Field(description="What is to be seen; 0.1 with `relative` is 10 % more.", allow_inf_nan=False)
    relative: bool = Field(default=True, description="Whether the effect is a part of the control's number.")
    metric: str | None = Field(default=None, description="The one that decides, or an event.")
    baseline: float | None = Field(default=None, description="A rate from 0 to 1, or with `sd` a mean.")
    sd: float | None = None
    visitors_a_day: float | None = Field(default=None, gt=0, description="Of all variants.", allow_inf_nan=False)
    weights: list[int] = Field(default=[1, 1], description="In any unit, the control's first.", max_length=100)
    power: float = 0.8

    def parsed(self) -> "Wish":
        """Return the wish. Raises InvalidName."""
        from balancer.services.planning import Wish

        return Wish(
            effect=self.effect,
            relative=self.relative,
            metric=None if self.metric is None else MetricName(self.metric),
            baseline=self.baseline,
            sd=self.sd,
            visitors_a_day=self.visitors_a_day,
            weights=tuple(self.weights),
            power=self.power,
        )
