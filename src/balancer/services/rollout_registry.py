"""What rollouts need of the registry, beside all that the other stories need, as a Protocol."""

from collections.abc import Sequence
from typing import Protocol

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.canary import Canary
from balancer.domain.notice import Notice
from balancer.domain.rollout import Plan, Rollout, Watch
from balancer.domain.split import Brief, Split, SplitId
from balancer.services.registry import Registry


class RolloutRegistry(Registry, Protocol):
    """The truth about rollouts too. What is decided and what that does are written together, or neither is."""

    async def start_rollout(
        self,
        app: AppName,
        branch: BranchName,
        control: BranchName,
        plan: Plan,
        *,
        expected_visitors: int,
        brief: Brief,
        ticks: float,
        activating: int | None = None,
        noted: AuditEntry | None = None,
    ) -> Rollout:
        """Begin a rollout, and its split, in its first step; the split that a rollout has left behind is cancelled.

        With it goes the release `activating` live, where there is one; a canary takes the place of the one before.
        `noted` is added to the audit log with it, as with the moves below.
        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, CanaryPromoted, IllegalTransition while
        the one before is not ended yet, Conflict where the default branch of a canary is another one by now; then
        nothing has changed.
        """

    async def canary(self, app: AppName) -> Canary | None:
        """Return the canary of an app that is live, whether it goes on or was rolled back. Raises AppNotFound."""

    async def open_rollouts(self) -> tuple[Rollout, ...]:
        """Return the rollouts that go on, oldest first."""

    async def rollouts_of_open_splits(self) -> tuple[Rollout, ...]:
        """Return the rollouts whose split is not over, oldest first: those that go on, and what was rolled back."""

    async def rollout(self, app: AppName) -> Rollout:
        """Return the rollout that goes on, else the one that ended last. Raises RolloutNotFound, AppNotFound."""

    async def rollout_of(self, split: SplitId) -> Rollout:
        """Return the rollout that a split was begun by."""

    async def split_in_the_way(self, app: AppName) -> Split | None:
        """Return the split of an app that is not over, unless a rollout or a bandit has left it behind.

        Raises AppNotFound.
        """

    async def note_watch(self, number: int, watch: Watch) -> None:
        """Note how long a rollout has gone on."""

    async def decisions(self, number: int) -> tuple[str, ...]:
        """Return what was decided of a rollout, the oldest first."""

    async def move_rollout(
        self,
        before: Rollout,
        after: Rollout,
        decision: str | None,
        *,
        weight: int | None = None,
        noted: AuditEntry | None = None,
        told: Sequence[Notice] = (),
    ) -> Rollout:
        """Write what a rollout has become; with `weight`, its split gets that for the branch, and its phase is new.

        Raises IllegalTransition where it is not what it was `before` any more, SplitNotFound, BranchNotFound; then
        nothing has changed.
        """

    async def end_rollout(
        self,
        before: Rollout,
        after: Rollout,
        decision: str | None,
        *,
        winner: BranchName | None,
        noted: AuditEntry | None = None,
        told: Sequence[Notice] = (),
    ) -> Rollout:
        """End the split of a rollout, with a winner or without, and write what the rollout has become.

        Raises IllegalTransition where it is not what it was `before` any more, SplitNotFound, BranchNotFound; then
        nothing has changed.
        """
