"""Targets and notices in the registry, as their callers see them.

Invariant: a method is one transaction.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppName
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.target import Address, Delivery, Standing, Target, TargetKind
from balancer.store import apps, notices, targets
from balancer.store.sealed import Sealed


class NoticeRecords(Sealed):
    """What the registry knows of who is told what."""

    async def add_target(
        self,
        kind: TargetKind,
        address: Address,
        *,
        secret: str | None,
        kinds: Iterable[NoticeKind],
        app: AppName | None,
    ) -> Target:
        """Add a target. Raises AppNotFound, InvalidInput."""
        now = self._clock()

        def adding(connection: Connection) -> Target:
            if app is not None:
                apps.get(connection, app)
            return targets.add(connection, self._cipher, kind, address, secret, kinds, app, now)

        return await self._transact(adding)

    async def target(self, target: int) -> Target:
        """Return one target. Raises NotFound."""
        return await self._transact(targets.get, self._cipher, target)

    async def targets(self) -> tuple[Standing, ...]:
        """Return all targets, the oldest first, with how it goes with them."""
        return await self._transact(targets.standings, self._cipher)

    async def remove_target(self, target: int) -> None:
        """Remove a target, with what waits for it. Raises NotFound."""
        await self._transact(targets.remove, target)

    async def post(self, notice: Notice) -> None:
        """Keep a notice for the targets that want it."""
        await self._transact(self._tell, notice)

    async def due(self) -> tuple[Delivery, ...]:
        """Return what is to be delivered now: the oldest notice of each target."""
        return await self._transact(notices.due, self._cipher, self._clock())

    async def settle(self, delivery: Delivery, failure: str | None, *, gone: bool = False) -> datetime | None:
        """Note how an attempt has ended; return when the next one is, None where there is none.

        `gone`: whether the target says that it takes nothing any more.
        """
        return await self._transact(notices.settle, delivery, failure, self._clock(), gone)
