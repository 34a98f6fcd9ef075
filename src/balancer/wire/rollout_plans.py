"""Plans of rollouts."""

from typing import TYPE_CHECKING

from pydantic import Field

from balancer.domain.app import BranchName
from balancer.wire.rollouts import PlanBody

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.rollout_planning import RolloutWish


class RolloutWishBody(PlanBody):
    """A rollout that may begin, and what is known already; in the query."""

    branch: str | None = Field(default=None, description="The rollout that goes on, where it is not named.")
    effect: float = Field(default=0.1, description="What the metric is to show.", allow_inf_nan=False)
    relative: bool = Field(default=True, description="Whether the effect is a part of the control's number.")
    baseline: float | None = Field(default=None, description="A rate from 0 to 1, or with `sd` a mean.")
    sd: float | None = None
    visitors_a_day: float | None = Field(default=None, gt=0, description="Of all variants.", allow_inf_nan=False)

    def wish(self) -> "RolloutWish":
        """Return the wish. Raises InvalidName, InvalidRollout, InvalidWeights."""
        from balancer.services.rollout_planning import RolloutWish

        return RolloutWish(
            branch=None if self.branch is None else BranchName(self.branch),
            plan=self.parsed(),
            effect=self.effect,
            relative=self.relative,
            baseline=self.baseline,
            sd=self.sd,
            visitors_a_day=self.visitors_a_day,
        )
