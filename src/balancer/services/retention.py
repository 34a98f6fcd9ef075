"""Retention: what is older than the platform keeps goes out of the ledger, day by day.

Invariants:
    * Only whole days go, and nothing that arrived since the running split of its app began.
    * Doing it again takes out nothing more; a day on which it could not be done is made up for.

Run by the daemon, as long as it runs.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from balancer import logs
from balancer.domain.calendar import DAY_MILLISECONDS
from balancer.domain.event_row import Erased
from balancer.errors import LedgerUnavailable
from balancer.services.registry import Registry

log = logs.named("retention")
# 1 h: a day that is over goes soon, and looking for it costs the ledger milliseconds.
_EVERY_SECONDS = 3600.0


class Ledger(Protocol):
    """What has the rows."""

    async def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
        """Take out what arrived before the times of the apps, and of all others. Raises LedgerUnavailable."""


class Retention:
    """Keeps the ledger to its days."""

    def __init__(self, registry: Registry, ledger: Ledger, clock: Callable[[], datetime], days: int) -> None:
        """Keep `days` whole days, or everything where that is 0."""
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._days = days

    async def run(self) -> None:
        """Take out what is too old, hour by hour; runs until cancelled."""
        while True:
            if self._days:
                try:
                    await self.apply()
                except LedgerUnavailable as reason:
                    log.warning("retention.later", reason=str(reason))
            await asyncio.sleep(_EVERY_SECONDS)

    async def apply(self) -> None:
        """Take out what is too old now. Raises LedgerUnavailable."""
        today = round(self._clock().timestamp() * 1000) // DAY_MILLISECONDS * DAY_MILLISECONDS
        kept_since = today - self._days * DAY_MILLISECONDS
        running = {
            str(split.app): min(kept_since, round(split.started_at.timestamp() * 1000))
            for split in (await self._registry.snapshot()).splits
        }
        for app, gone in (await self._ledger.remove_before(running, kept_since)).items():
            before = datetime.fromtimestamp(running.get(app, kept_since) / 1000, self._clock().tzinfo).isoformat()
            log.info("retention.removed", app=app, rows=gone.events, exposures=gone.exposures, before=before)
