"""Splits and their phases."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from pydantic import Field

from balancer.domain.app import BranchName
from balancer.domain.split import Phase, Split, parse_weights
from balancer.wire.body import Body


class WeightsBody(Body):
    """Weights of a split, in percent, steps of 0.01; in the order in which they are named."""

    weights: dict[str, Decimal] = Field(examples=[{"master": 50, "test": 50}])
    control: str | None = Field(default=None, description="The default branch where it is not named.")

    def parsed(self) -> dict[BranchName, int]:
        """Return the weights in units of 0.01 %. Raises InvalidWeights, InvalidName."""
        return parse_weights(f"{branch}={share}" for branch, share in self.weights.items())


class PhaseBody(Body):
    """A phase of a split."""

    number: int
    weights: dict[str, float]
    started_at: datetime

    @classmethod
    def of(cls, phase: Phase) -> Self:
        """Return the body of a phase."""
        return cls(
            number=phase.number,
            weights={branch: weight / 100 for branch, weight in phase.weights.items()},
            started_at=phase.started_at,
        )


class SplitBody(Body):
    """A split."""

    id: str
    app: str
    state: str
    control: str
    phases: list[PhaseBody]
    ended_at: datetime | None

    @classmethod
    def of(cls, split: Split) -> Self:
        """Return the body of a split."""
        return cls(
            id=split.id,
            app=split.app,
            state=split.state.value,
            control=split.control,
            phases=[PhaseBody.of(phase) for phase in split.phases],
            ended_at=split.ended_at,
        )
