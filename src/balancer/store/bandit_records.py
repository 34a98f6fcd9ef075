"""Bandits in the registry, as their service sees them; its Protocol tells what each method means.

Invariant: a method is one transaction, of which what the audit log says of it is a part, and what people are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.bandit import Bandit, BanditPlan
from balancer.domain.bandit_notice import bandit_began
from balancer.domain.notice import Notice
from balancer.domain.rollout import Watch
from balancer.domain.split import Brief
from balancer.store import audit, bandits, splits
from balancer.store.transactions import Transactions


class BanditRecords(Transactions):
    """What the registry knows of bandits."""

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
        """Begin a bandit, and its split. Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights."""
        now = self._clock()

        def starting(connection: Connection) -> Bandit:
            begun = bandits.start(connection, app, branches, control, plan, expected_visitors, brief, ticks, now)
            self._tell(connection, bandit_began(begun))
            return begun

        return await self._transact(starting)

    async def open_bandits(self) -> tuple[Bandit, ...]:
        """Return the bandits that go on, oldest first."""
        return await self._transact(bandits.every_open)

    async def bandit(self, app: AppName) -> Bandit:
        """Return the bandit that goes on, else the one that ended last. Raises BanditNotFound, AppNotFound."""
        return await self._transact(bandits.latest, app)

    async def note_bandit_watch(self, number: int, watch: Watch) -> None:
        """Note how long a bandit has gone on."""
        await self._transact(bandits.watch, number, watch)

    async def bandit_decisions(self, number: int) -> tuple[str, ...]:
        """Return what was decided of a bandit, the oldest first."""
        return await self._transact(bandits.decisions, number)

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
        """Write what a bandit has become; with `weights`, also the phase that has them.

        Raises IllegalTransition, SplitNotFound, BranchNotFound, InvalidWeights.
        """
        now = self._clock()

        def moving(connection: Connection) -> Bandit:
            if noted is not None:
                audit.add(connection, noted)
            self._tell(connection, *told)
            phase = after.phase if weights is None else bandits.set_phase(connection, before, weights, now)
            return bandits.move(connection, before, replace(after, phase=phase), decision, now)

        return await self._transact(moving)

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

        Raises IllegalTransition, SplitNotFound, BranchNotFound.
        """
        now = self._clock()

        def ending(connection: Connection) -> Bandit:
            self._tell(connection, *told)
            moved = bandits.move(connection, before, after, decision, now)
            splits.open_if(connection, before.app, before.split)
            if winner is None:
                splits.cancel(connection, before.app, now)
            else:
                splits.conclude(connection, before.app, winner, now)
            return moved

        return await self._transact(ending)
