"""Targets: added, listed, tried, removed.

Invariant: the secret of a webhook is told once, to who adds it.
"""

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.notice import KeptNotice, NoticeKind, trial
from balancer.domain.notice_form import SECRET_BYTES, secret_of
from balancer.domain.target import Address, Standing, Target, TargetKind
from balancer.services.deliveries import Courier, carry

log = logs.named("targets")


class KeptTargets(Protocol):
    """What keeps the targets."""

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

    async def target(self, target: int) -> Target:
        """Return one target. Raises NotFound."""

    async def targets(self) -> tuple[Standing, ...]:
        """Return all targets, the oldest first, with how it goes with them."""

    async def remove_target(self, target: int) -> None:
        """Remove a target, with what waits for it. Raises NotFound."""


class Targets:
    """Carries out what an operator asks of targets."""

    def __init__(self, kept: KeptTargets, courier: Courier, clock: Callable[[], datetime]) -> None:
        self._kept = kept
        self._courier = courier
        self._clock = clock

    async def add(
        self, address: Address, kind: TargetKind | None, kinds: Iterable[NoticeKind], app: AppName | None
    ) -> Target:
        """Tell somebody from now on; the kind is what the address shows, unless it is given.

        Raises AppNotFound, InvalidInput where they do not fit, or there is no mail server.
        """
        kind = kind or address.kind
        self._courier.check(kind)
        secret = secret_of(secrets.token_bytes(SECRET_BYTES)) if kind is TargetKind.WEBHOOK else None
        added = await self._kept.add_target(kind, address, secret=secret, kinds=kinds, app=app)
        log.info("target.added", target=added.id, kind=kind.value, address=address.shown, app=app)
        return added

    async def standings(self) -> tuple[Standing, ...]:
        """Return all targets, with how it goes with them."""
        return await self._kept.targets()

    async def remove(self, target: int) -> None:
        """Tell somebody no longer; what waits for it goes. Raises NotFound."""
        await self._kept.remove_target(target)
        log.info("target.removed", target=target)

    async def test(self, target: int) -> Target:
        """Send a notice that says only that it arrives, now and once. Raises NotFound, NotDelivered."""
        found = await self._kept.target(target)
        kept = KeptNotice(id=f"msg_{secrets.token_hex(12)}", at=self._clock(), notice=trial())
        await carry(self._courier, found, kept)
        return found
