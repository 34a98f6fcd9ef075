"""A shop with a rollout of `test`, on a real registry and a real ledger, for the tests of what surrounds rollouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from balancer.domain.app import BranchName, Commit
from balancer.domain.calendar import TimeZone
from balancer.domain.entry import Entry
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import InstanceState
from balancer.domain.rollout import Rollout
from balancer.services.reports import Reports
from balancer.services.rollouts import Rollouts
from balancer.store.ledger import DuckLedger
from entries import entry, load
from ledgers import LocalLedger
from platforms import InProcess, in_process
from values import MASTER, SHOP, TEST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RolloutShop:
    """A platform with a ledger, and rollouts on both."""

    def __init__(self, platform: InProcess, directory: Path) -> None:
        self.platform, self.clock = platform, platform.clock
        self.engine = DuckLedger(directory / "ledger.duckdb", lambda: self.now)
        self.ledger = LocalLedger(self.engine)
        self.reports = Reports(platform.registry, self.ledger, self.clock, TimeZone("Europe/Vienna"))
        self.rollouts = self.another_daemon()
        self._visitors = 0

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return (self.clock.now - _EPOCH) // timedelta(milliseconds=1)

    def another_daemon(self) -> Rollouts:
        """Return rollouts that remember nothing, as after a start."""
        return self.platform.rollouts(self.reports, self.ledger)

    async def make_live(self, branch: BranchName) -> None:
        """Make a release of a branch live, with an instance that seems healthy."""
        registry = self.platform.registry
        commit = Commit("c0ffee" + "0" * 34)
        release = await registry.open_release(SHOP, branch, commit, subject="Sell", author="Ada")
        await registry.start_release(release.id, Manifest(source=Source.PROCFILE, processes={WEB: "serve"}))
        port = max(await registry.leased_ports(), default=19_999) + 1
        instance = await registry.open_instance(release.id, WEB, 1, port)
        await registry.move_instance(instance.id, InstanceState.HEALTHY)
        await registry.activate(release.id)

    def visit(self, phase: int = 1, *, failing: bool = False, **counts: int) -> None:
        """Let so many visitors of each variant be exposed in a phase, and meet an error."""
        rows: list[Entry] = []
        for variant, count in counts.items():
            for _ in range(count):
                self._visitors += 1
                shared = {"split": "s1", "variant": variant, "assigned_at": self.now, "phase": phase}
                rows.append(entry(self._visitors, "$exposure", ts=self.now + 5, **shared))  # type: ignore[arg-type]
                if failing:
                    rows.append(entry(self._visitors, "$error", 500.0, ts=self.now + 9, **shared))  # type: ignore[arg-type]
        load(self.engine, *rows)

    async def look(self, rollouts: Rollouts | None = None) -> Rollout:
        """Let a few seconds go by, look once at what goes on, and return what the rollout is."""
        self.clock.advance(3)
        for rollout in await self.platform.registry.open_rollouts():
            await (rollouts or self.rollouts).look(rollout)
        return await self.platform.registry.rollout(SHOP)

    async def last_rule(self) -> str:
        """Return the rule of the decision that was kept last."""
        return (await self.rollouts.decisions(SHOP))[-1].action.rule


@asynccontextmanager
async def rollout_shop(directory: Path) -> AsyncIterator[RolloutShop]:
    """Give a shop with master, the default branch, and test live."""
    async with in_process(directory) as platform:
        shop = RolloutShop(platform, directory)
        await platform.registry.create_app(SHOP, MASTER)
        await platform.repositories.create(SHOP)
        for branch in (MASTER, TEST):
            await shop.make_live(branch)
        try:
            yield shop
        finally:
            shop.engine.close()
