"""Bandits, how they stand, and what is asked of them."""

from typing import TYPE_CHECKING, Self

from pydantic import Field

from balancer.domain.app import BranchName
from balancer.domain.bandit import STEP_SECONDS, Bandit, BanditPlan
from balancer.domain.bandit_decision import BanditAction, BanditSeen
from balancer.domain.weights import percent
from balancer.wire.body import Body

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.bandits import BanditStanding


class NewBandit(Body):
    """A bandit that is to begin."""

    branches: list[str] = Field(description="Beside what visitors see.", examples=[["test", "blue"]])
    metric: str = Field(description="The metric, or the event, that is to be earned.")
    step_seconds: int = Field(default=STEP_SECONDS, description="How long weights last at least.")

    def parsed(self) -> tuple[tuple[BranchName, ...], BanditPlan]:
        """Return the branches and the plan. Raises InvalidName, InvalidBandit."""
        return tuple(map(BranchName, self.branches)), BanditPlan(metric=self.metric, step_seconds=self.step_seconds)


class Promotion(Body):
    """The branch that everybody is to get."""

    winner: str


class OutBody(Body):
    """A branch that was taken out."""

    branch: str
    reason: str


class BanditBody(Body):
    """A bandit."""

    app: str
    control: str
    branches: list[str] = Field(description="Beside the control.")
    split: str
    metric: str
    step_seconds: int
    state: str
    phase: int = Field(description="The phase of the split with the weights that it has set itself.")
    seconds: float = Field(description="How long it has gone on, whatever became of the clock.")
    weights_seconds: float = Field(description="How long its weights have lasted.")
    out: list[OutBody]
    reason: str | None = Field(default=None, description="Why it does not go on.")

    @classmethod
    def of(cls, bandit: Bandit) -> Self:
        """Return the body of a bandit."""
        return cls(
            app=bandit.app,
            control=bandit.control,
            branches=list(bandit.branches),
            split=bandit.split,
            metric=bandit.plan.metric,
            step_seconds=bandit.plan.step_seconds,
            state=bandit.state.value,
            phase=bandit.phase,
            seconds=bandit.watch.seconds,
            weights_seconds=bandit.watch.step_seconds,
            out=[OutBody(branch=each.branch, reason=each.reason) for each in bandit.out],
            reason=bandit.reason,
        )


class BanditStandingBody(Body):
    """How a bandit stands."""

    bandit: BanditBody
    weights: dict[str, float] = Field(description="Of the present phase of its split, in percent.")
    seen: BanditSeen | None = Field(
        default=None, description="The latest figures; none before the daemon's first look."
    )
    action: BanditAction | None = Field(default=None, description="What they say.")

    @classmethod
    def of(cls, standing: "BanditStanding") -> Self:
        """Return the body of how a bandit stands."""
        return cls(
            bandit=BanditBody.of(standing.bandit),
            weights={str(branch): weight / 100 for branch, weight in standing.weights.items()},
            seen=standing.seen,
            action=standing.action,
        )

    def weight(self, branch: str) -> str:
        """Return the weight of a branch for people."""
        return percent(round(self.weights.get(branch, 0.0) * 100))
