"""Freezes in the registry, as their service sees them.

Invariant: a method is one transaction.
"""

from datetime import datetime

from balancer.domain.app import AppName
from balancer.domain.clock_mark import ClockMark
from balancer.domain.freeze import Freeze
from balancer.store import clock_marks, freezes
from balancer.store.transactions import Transactions


class FreezeRecords(Transactions):
    """What the registry knows of freezes, and of the clock they go by."""

    async def add_freeze(self, app: AppName | None, since: datetime, until: datetime, why: str) -> Freeze:
        """Add a freeze. Raises AppNotFound, InvalidInput."""
        return await self._transact(freezes.add, app, since, until, why, self._clock())

    async def freezes(self) -> tuple[Freeze, ...]:
        """Return the freezes there are, the one that begins first first."""
        return await self._transact(freezes.every)

    async def remove_freeze(self, number: int) -> None:
        """Remove a freeze. Raises NotFound."""
        await self._transact(freezes.remove, number)

    async def clock_mark(self) -> ClockMark | None:
        """Return the clock mark that was kept last."""
        return await self._transact(clock_marks.get)

    async def keep_clock_mark(self, mark: ClockMark) -> None:
        """Keep a clock mark in the place of the one before."""
        await self._transact(clock_marks.keep, mark)
