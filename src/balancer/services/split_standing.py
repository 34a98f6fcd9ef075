"""How a split stands that is not over, at a glance.

Invariant: what a rollout has taken back is known before any figure is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from balancer.domain.app import BranchName
from balancer.domain.rollout import Rollout, RolloutState
from balancer.domain.split import Split, SplitState
from balancer.services.lights import Said
from balancer.services.rollouts import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStanding:
    """A split that is not over."""

    id: str
    name: str | None
    state: SplitState
    control: BranchName
    shares: tuple[tuple[BranchName, int], ...]
    """Each variant and its part of new visitors, in units of 0.01 %, the control first."""
    started_at: datetime
    said: Said | None
    """By its latest report; None where none was made yet."""
    rollout: Standing | None
    """That goes on, or was rolled back and has left the split behind."""

    @property
    def rolled_back(self) -> Rollout | None:
        """What was taken back, and is to be known before any figure of the split."""
        return taken_back(self.rollout, dict(self.shares))

    @classmethod
    def of(cls, split: Split, said: Said | None, rollout: Standing | None) -> Self:
        """Return how a split stands."""
        return cls(
            id=str(split.id),
            name=split.brief.name,
            state=split.state,
            control=split.control,
            shares=tuple(sorted(split.phase.weights.items(), key=lambda share: share[0] != split.control)),
            started_at=split.started_at,
            said=said,
            rollout=rollout,
        )


def taken_back(standing: Standing | None, weights: Mapping[BranchName, int]) -> Rollout | None:
    """Return the rollout of a split with these weights that was rolled back, unless its branch was given some since."""
    return standing.rollout if standing and is_taken_back(standing.rollout, weights) else None


def is_taken_back(rollout: Rollout, weights: Mapping[BranchName, float]) -> bool:
    """Tell whether a rollout was rolled back, and its branch was given none of the weights since."""
    return rollout.state is RolloutState.ROLLED_BACK and not weights.get(rollout.branch)
