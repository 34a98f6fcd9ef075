"""Lights: verdicts at hand, and when the ledger is asked for them."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from balancer.domain.app import AppName
from balancer.domain.split import SplitId
from balancer.errors import LedgerUnavailable
from balancer.services.lights import Lights
from balancer.services.report import Report
from balancer.services.reports import Reports
from balancer.stats.verdict import SplitVerdict, Verdict
from balancer.testing import FakeClock
from values import split

pytestmark = pytest.mark.anyio
SAYS = SplitVerdict(verdict=Verdict.KEEP_RUNNING, variant=None, reason="nothing yet", variants=())


@dataclass
class Asked:
    """Reports that note which one was asked for."""

    splits: list[str] = field(default_factory=list)
    fails: bool = False

    async def of(self, app: AppName, split: SplitId) -> Report:
        self.splits.append(split)
        if self.fails:
            raise LedgerUnavailable("away")
        return cast("Report", type("Found", (), {"verdict": SAYS, "metrics": ()}))


class Looked:
    """Lights that somebody may look at."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked = Asked()
        self.lights = Lights(cast("Reports", self.asked), self.clock)

    def look(self, number: int = 1) -> SplitVerdict | None:
        """Return the verdict on a split."""
        said = self.lights.of(split({"master": 5000, "test": 5000}, number=number))
        return said.verdict if said else None

    async def after(self, seconds: float) -> None:
        """Go on, and refresh."""
        self.clock.advance(seconds)
        await self.lights.refresh()


async def test_nothing_is_asked_while_nobody_looks_and_the_verdict_is_there_once_somebody_did() -> None:
    looked = Looked()
    await looked.after(60)
    assert looked.asked.splits == []
    assert looked.look() is None
    await looked.after(0)
    assert looked.asked.splits == ["s1"]
    assert looked.look() == SAYS


async def test_a_verdict_is_asked_for_again_after_ten_seconds_and_forgotten_a_minute_after_the_last_look() -> None:
    looked = Looked()
    looked.look()
    await looked.after(0)
    await looked.after(9)
    assert len(looked.asked.splits) == 1
    await looked.after(1)
    assert len(looked.asked.splits) == 2
    await looked.after(50)
    assert len(looked.asked.splits) == 2
    assert looked.look() is None


async def test_a_report_that_fails_leaves_the_verdict_before_and_holds_up_no_other_split() -> None:
    looked = Looked()
    looked.look()
    await looked.after(0)
    looked.asked.fails = True
    looked.look(2)
    for seconds in (10, 1, 1):
        await looked.after(seconds)
    assert looked.asked.splits == ["s1", "s2", "s1"]
    assert looked.look() == SAYS
