"""Rollouts in the registry, as their service sees them; its Protocol tells what each method means.

Invariant: a method is one transaction, of which what the audit log says of it is a part, and what people are told.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.canary import Canary
from balancer.domain.notice import Notice, went_live
from balancer.domain.rollout import Plan, Rollout, Watch
from balancer.domain.rollout_notice import rollout_began, rollout_ended
from balancer.domain.split import CANARY, Brief, Split, SplitId
from balancer.store import audit, canaries, left_behind, releases, rollouts, splits
from balancer.store.transactions import Transactions


class RolloutRecords(Transactions):
    """What the registry knows of rollouts."""

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
        """Begin a rollout, and its split; make a release live with it, in the place of the canary before.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, IllegalTransition, ReleaseNotFound, Conflict.
        """
        now = self._clock()

        def starting(connection: Connection) -> Rollout:
            _note(connection, noted)
            if activating is not None:
                if branch == CANARY:
                    ended = canaries.give_way(connection, control, releases.get(connection, activating), now)
                    if ended is not None:
                        self._tell(connection, rollout_ended(ended))
                self._tell(connection, went_live(releases.activate(connection, activating, now)))
            begun = rollouts.start(connection, app, branch, control, plan, expected_visitors, brief, ticks, now)
            self._tell(connection, rollout_began(begun))
            return begun

        return await self._transact(starting)

    async def canary(self, app: AppName) -> Canary | None:
        """Return the canary of an app that is live. Raises AppNotFound."""
        return await self._transact(canaries.of, app)

    async def open_rollouts(self) -> tuple[Rollout, ...]:
        """Return the rollouts that go on, oldest first."""
        return await self._transact(rollouts.every_open)

    async def rollouts_of_open_splits(self) -> tuple[Rollout, ...]:
        """Return the rollouts whose split is not over, oldest first: those that go on, and what was rolled back."""
        return await self._transact(rollouts.of_open_splits)

    async def rollout(self, app: AppName) -> Rollout:
        """Return the rollout that goes on, else the one that ended last. Raises RolloutNotFound, AppNotFound."""
        return await self._transact(rollouts.latest, app)

    async def rollout_of(self, split: SplitId) -> Rollout:
        """Return the rollout that a split was begun by."""
        return await self._transact(rollouts.of_split, split)

    async def split_in_the_way(self, app: AppName) -> Split | None:
        """Return the split of an app that is not over, unless it was left behind. Raises AppNotFound."""
        return await self._transact(left_behind.in_the_way, app)

    async def note_watch(self, number: int, watch: Watch) -> None:
        """Note how long a rollout has gone on."""
        await self._transact(rollouts.watch, number, watch)

    async def decisions(self, number: int) -> tuple[str, ...]:
        """Return what was decided of a rollout, the oldest first."""
        return await self._transact(rollouts.decisions, number)

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
        """Write what a rollout has become; with `weight`, also the phase in which its branch has that.

        Raises IllegalTransition, SplitNotFound, BranchNotFound, InvalidWeights.
        """
        now = self._clock()

        def moving(connection: Connection) -> Rollout:
            _note(connection, noted)
            self._tell(connection, *told)
            phase = after.phase
            if weight is not None:
                control = splits.of_id(connection, before.app, before.split).control
                phase = rollouts.set_phase(connection, before, control, weight, now)
            return rollouts.move(connection, before, replace(after, phase=phase), decision, now)

        return await self._transact(moving)

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

        Raises IllegalTransition, SplitNotFound, BranchNotFound.
        """
        now = self._clock()

        def ending(connection: Connection) -> Rollout:
            _note(connection, noted)
            self._tell(connection, *told)
            moved = rollouts.move(connection, before, after, decision, now)
            _end_split(connection, before, winner, now)
            return moved

        return await self._transact(ending)


def _note(connection: Connection, noted: AuditEntry | None) -> None:
    if noted is not None:
        audit.add(connection, noted)


def _end_split(connection: Connection, rollout: Rollout, winner: BranchName | None, now: datetime) -> None:
    splits.open_if(connection, rollout.app, rollout.split)
    if winner is None:
        ended = splits.cancel(connection, rollout.app, now)
    else:
        ended = splits.conclude(connection, rollout.app, winner, now)
    splits.take_down(connection, ended, now)
