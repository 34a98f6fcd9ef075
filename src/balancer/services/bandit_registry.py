"""What bandits need of the registry, beside all that the other stories need, as a Protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.bandit import Bandit, BanditPlan
from balancer.domain.notice import Notice
from balancer.domain.rollout import Watch
from balancer.domain.split import Brief
from balancer.services.registry import Registry


class BanditRegistry(Registry, Protocol):
    """The truth about bandits too. What is decided and what that does are written together, or neither is."""

    async def start_bandit(
        self,
        app: AppName,
        branches: tuple[BranchName, ...],
        control: BranchName,
        plan: BanditPlan,
        *,
        expected_visitors: int,
        brief: Brief,
        ticks: float,
    ) -> Bandit:
        """Begin a bandit, and its split, with even weights; a split that was left behind is cancelled.

        Raises SplitRunning, CanaryPromoted, BranchNotFound, AppNotFound, InvalidWeights, IllegalTransition while the
        one before is not ended yet; then nothing has changed.
        """

    async def open_bandits(self) -> tuple[Bandit, ...]:
        """Return the bandits that go on, oldest first."""

    async def bandit(self, app: AppName) -> Bandit:
        """Return the bandit that goes on, else the one that ended last. Raises BanditNotFound, AppNotFound."""

    async def note_bandit_watch(self, number: int, watch: Watch) -> None:
        """Note how long a bandit has gone on."""

    async def bandit_decisions(self, number: int) -> tuple[str, ...]:
        """Return what was decided of a bandit, the oldest first."""

    async def move_bandit(
        self,
        before: Bandit,
        after: Bandit,
        decision: str | None,
        *,
        weights: Mapping[BranchName, int] | None = None,
        noted: AuditEntry | None = None,
        told: Sequence[Notice] = (),
    ) -> Bandit:
        """Write what a bandit has become; with `weights`, its split gets those, and its phase is new.

        `noted` is added to the audit log with it, and `told` is kept for those who want it.
        Raises IllegalTransition where it is not what it was `before` any more, SplitNotFound, BranchNotFound; then
        nothing has changed.
        """

    async def end_bandit(
        self,
        before: Bandit,
        after: Bandit,
        decision: str | None,
        *,
        winner: BranchName | None,
        told: Sequence[Notice] = (),
    ) -> Bandit:
        """End the split of a bandit, with a winner or without, and write what the bandit has become.

        Raises IllegalTransition where it is not what it was `before` any more, SplitNotFound, BranchNotFound; then
        nothing has changed.
        """
