"""Freezes in the registry, as their service sees them.

Invariant: a method is one transaction.
"""

from datetime import datetime

from balancer.domain.app import AppName
from balancer.domain.freeze import Freeze
from balancer.store import freezes
from balancer.store.transactions import Transactions


class FreezeRecords(Transactions):
    """What the registry knows of freezes."""

    async def add_freeze(self, app: AppName | None, since: datetime, until: datetime, why: str) -> Freeze:
        """Add a freeze. Raises AppNotFound, InvalidInput."""
        return await self._transact(freezes.add, app, since, until, why, self._clock())

    async def freezes(self) -> tuple[Freeze, ...]:
        """Return the freezes there are, the one that begins first first."""
        return await self._transact(freezes.every)

    async def remove_freeze(self, number: int) -> None:
        """Remove a freeze. Raises NotFound."""
        await self._transact(freezes.remove, number)
