"""Lights: the verdict on each split that is not over, at hand for a page that shows many of them.

Invariants:
    * A light is what the report says: a verdict that is shown was kept first, and stays.
    * The ledger is asked for one split after the other, and for a twentieth of its time at most.
    * While nobody looks nothing is asked.

A report takes the ledger from some milliseconds to seconds, and an overview has many splits; so it shows what the
latest report said, and this asks for the next one.
"""

import asyncio
import time
from dataclasses import dataclass

from balancer import logs
from balancer.clock import Clock
from balancer.domain.app import AppName
from balancer.domain.split import Split, SplitId
from balancer.errors import BalancerError
from balancer.services.outcome import MetricReport
from balancer.services.reports import Reports
from balancer.stats.verdict import SplitVerdict

log = logs.named("lights")
# 10 s: a verdict changes over hours; a twentieth: what a rollout takes of the ledger at most, too.
_AGE_SECONDS, _SHARE = 10.0, 20
# 60 s: the pages that are open ask every few seconds; a page without scripts is loaded again, or is not looked at.
_WATCHED_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the latest report on a split says."""

    verdict: SplitVerdict
    primary: MetricReport | None
    """The metric that decides; None where none does."""


@dataclass(slots=True)
class _Light:
    """What is remembered of one split. Times are ticks."""

    app: AppName
    asked_at: float
    """When somebody wanted to see it."""
    tried_at: float = float("-inf")
    said: Said | None = None


class Lights:
    """Remembers the latest verdict on each split that somebody looks at."""

    def __init__(self, reports: Reports, clock: Clock) -> None:
        self._reports = reports
        self._clock = clock
        self._lights: dict[SplitId, _Light] = {}

    def of(self, split: Split) -> Said | None:
        """Return what the latest report on a split says, and see to the next one; None where there was none yet."""
        now = self._clock.ticks()
        light = self._lights.setdefault(split.id, _Light(app=split.app, asked_at=now))
        light.asked_at = now
        return light.said

    async def run(self) -> None:
        """Keep the verdicts up to date on those splits that are looked at; until cancelled."""
        while True:
            took = await self.refresh()
            await asyncio.sleep(max(_PAUSE_SECONDS, took * _SHARE))

    async def refresh(self) -> float:
        """Ask for the report of the split that has waited longest; return the seconds that it took, 0 for none."""
        now = self._clock.ticks()
        self._lights = {
            split: light for split, light in self._lights.items() if now - light.asked_at < _WATCHED_SECONDS
        }
        due = [split for split, light in self._lights.items() if now - light.tried_at >= _AGE_SECONDS]
        if not due:
            return 0.0
        split = min(due, key=lambda each: self._lights[each].tried_at)
        light = self._lights[split]
        light.tried_at = now  # also where it fails: the others get their turn
        began = time.monotonic()
        try:
            report = await self._reports.of(light.app, split)
            primary = next((metric for metric in report.metrics if metric.primary), None)
            light.said = Said(verdict=report.verdict, primary=primary)
        except BalancerError as reason:
            log.warning("lights.blind", split=split, reason=str(reason))
        return time.monotonic() - began
