"""Expectations: how many visitors an app's next split will get, told by its last one.

Invariants:
    * N* of a split is what 14 days are expected to bring, and never below 5,000.
    * A split begins whether the ledger answers or not: who knows nothing expects the least.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.metric import Metric
from balancer.domain.split import Split
from balancer.errors import LedgerUnavailable, SplitNotFound
from balancer.services.measures import measure_of
from balancer.services.outcome import branches_of
from balancer.services.registry import Registry
from balancer.stats.cells import SplitCells, SplitQuestion

log = logs.named("split")
# Two whole weeks: what most splits are run for.
DAYS = 14
# 5,000: a sequence that is narrowest with fewer visitors than that widens too soon for a split that goes on.
LEAST_VISITORS = 5000
# A day: what comes within less says nothing of a day.
_SHORTEST = timedelta(days=1)
# 5 minutes and 100 visitors: less is who happened to be there. A canary of every push is over long before a day.
_BRIEF, _BRIEF_VISITORS = timedelta(minutes=5), 100
# 3: the present split, which may have begun just now, and two before it.
_BRIEF_SPLITS = 3
# 5 s: as long as somebody who begins a split may wait for a number that has a least.
_PATIENCE_SECONDS = 5.0


class Answers(Protocol):
    """What is asked of the ledger here."""

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Raises LedgerUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many visitors came while a split ran that lasted for less than a day."""

    split: Split
    a_day: float
    """Were it so all day; who comes back counts as new when a split begins, so it tells of hours, not of weeks."""
    seconds: float
    """For how long it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last split of an app, and what its visitors did."""

    split: Split
    cells: SplitCells
    a_day: float | None
    """Visitors of all variants; None where it was too short to tell, or had none."""


class Expectations:
    """Tells what the last split of an app says of the next one."""

    def __init__(self, registry: Registry, ledger: Answers, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._ledger = ledger
        self._clock = clock

    async def last(self, app: AppName, metrics: tuple[Metric, ...] = ()) -> Seen | None:
        """Return the newest split of an app, measured by `metrics`; None where there was none yet.

        Raises AppNotFound, LedgerUnavailable.
        """
        try:
            split = await self._registry.split(app)
        except SplitNotFound:
            return None
        cells = await self._cells(split, metrics)
        visitors, ran = _visitors(cells), self._ran(split)
        a_day = visitors / (ran / timedelta(days=1)) if visitors and ran >= _SHORTEST else None
        return Seen(split=split, cells=cells, a_day=a_day)

    async def pace(self, app: AppName) -> Pace | None:
        """Return how many visitors came of late, told by one of the last splits, however short; None: nobody knows.

        Raises AppNotFound, LedgerUnavailable.
        """
        for split in (await self._registry.splits(app))[:_BRIEF_SPLITS]:
            visitors, ran = _visitors(await self._cells(split, ())), self._ran(split)
            if visitors >= _BRIEF_VISITORS and ran >= _BRIEF:
                return Pace(split=split, a_day=visitors / (ran / timedelta(days=1)), seconds=ran.total_seconds())
        return None

    async def _cells(self, split: Split, metrics: tuple[Metric, ...]) -> SplitCells:
        return await self._ledger.cells(
            SplitQuestion(
                app=str(split.app),
                split=str(split.id),
                phases=tuple(phase.number for phase in split.phases),
                variants=tuple(branch.slug for branch in branches_of(split)),
                measures=tuple(map(measure_of, metrics)),
                as_of=int(self._clock().astimezone(UTC).timestamp() * 1000),
            )
        )

    def _ran(self, split: Split) -> timedelta:
        return (split.ended_at or self._clock()) - split.started_at

    async def visitors(self, app: AppName) -> int:
        """Return N* of a split that begins now. Raises AppNotFound."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                seen = await self.last(app)
        except (LedgerUnavailable, TimeoutError) as reason:
            log.warning("split.expectation.unknown", app=app, reason=str(reason) or "no answer in time")
            return LEAST_VISITORS
        return expected(seen.a_day if seen else None)


def _visitors(cells: SplitCells) -> int:
    return sum(cell.visitors for cell in cells.exposed)


def expected(a_day: float | None) -> int:
    """Return N* where so many visitors come a day, or nobody knows how many."""
    return LEAST_VISITORS if a_day is None else max(LEAST_VISITORS, math.ceil(DAYS * a_day))
