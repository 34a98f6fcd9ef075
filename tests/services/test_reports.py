"""Reports of splits, from a real ledger: kept once a split is over, and looks that are taken each day."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.calendar import TimeZone
from balancer.domain.entry import Entry
from balancer.domain.metric import MetricName
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.split import Brief, Split
from balancer.domain.target import Address, TargetKind
from balancer.errors import AppNotFound, LedgerUnavailable, NotFound, SplitNotFound
from balancer.services.daily import DailyLooks
from balancer.services.looks import read
from balancer.services.reports import Reports
from balancer.stats.verdict import Verdict
from balancer.store.ledger import DuckLedger
from balancer.testing import FakeTeller
from entries import entry, load
from ledgers import LocalLedger
from registries import MASTER, SHOP, World, open_world, weights

pytestmark = pytest.mark.anyio
VIENNA = TimeZone("Europe/Vienna")
BRIEF = Brief(metric=MetricName("purchase"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Shop:
    """A registry, a ledger, and what reports on both."""

    world: World
    engine: DuckLedger
    ledger: LocalLedger
    reports: Reports
    daily: DailyLooks
    teller: FakeTeller

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return (self.world.clock.now - _EPOCH) // timedelta(milliseconds=1)

    async def split(self, brief: Brief = BRIEF) -> Split:
        """Begin a split of master and test."""
        for branch in ("master", "test"):
            if branch not in (await self.world.registry.snapshot()).live(SHOP):
                await self.world.push(branch)
        return await self.world.registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000, brief)

    def visit(self, split: Split, first: int, count: int, bought: dict[str, int]) -> None:
        """Let as many visitors be assigned to each variant now, of whom so many buy at once."""
        rows: list[Entry] = []
        for place, (variant, buyers) in enumerate(bought.items()):
            for turn in range(count):
                number = first + place * count + turn
                shared = {"split": str(split.id), "variant": variant, "assigned_at": self.now}
                rows.append(entry(number, "$exposure", ts=self.now + 5, **shared))  # type: ignore[arg-type]
                if turn < buyers:
                    rows.append(entry(number, "purchase", 10.0, ts=self.now + 10, **shared))  # type: ignore[arg-type]
        load(self.engine, *rows)


@asynccontextmanager
async def opened(directory: Path, timezone: TimeZone = VIENNA) -> AsyncIterator[Shop]:
    async with open_world(directory) as world:
        engine = DuckLedger(
            directory / "ledger.duckdb", lambda: (world.clock.now - _EPOCH) // timedelta(milliseconds=1)
        )
        ledger = LocalLedger(engine)
        teller = FakeTeller()
        reports = Reports(world.registry, ledger, world.clock, timezone, teller=teller)
        try:
            yield Shop(
                world, engine, ledger, reports, DailyLooks(world.registry, reports, world.clock, timezone), teller
            )
        finally:
            engine.close()


async def test_a_report_asks_for_the_split_as_of_now_in_the_time_of_the_app(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 50, {"master": 5, "test": 10})
        shop.world.clock.advance(60)
        report = await shop.reports.of(SHOP)
        (asked,) = shop.ledger.asked
        assert (asked.split, asked.phases, asked.variants) == (split.id, (1,), ("master", "test"))
        assert asked.as_of == shop.now
        assert {offset for _, offset in asked.offsets} == {3_600_000}
        assert [(each.branch, each.visitors, each.converted) for each in report.metrics[0].outcomes] == [
            ("master", 50, 5),
            ("test", 50, 10),
        ]
        assert [metric.metric for metric in report.metrics] == ["purchase", "purchase.value"]


async def test_the_report_of_a_split_that_is_over_never_changes_and_can_be_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 200, {"master": 20, "test": 60})
        shop.world.clock.advance(4 * 86_400)
        shop.visit(split, 1000, 10, {"master": 5, "test": 0})
        await shop.world.registry.cancel_split(SHOP)
        shop.world.clock.advance(60)
        kept = await shop.reports.of(SHOP)
        shop.visit(split, 2000, 300, {"master": 200, "test": 0})
        shop.world.clock.advance(86_400)
        assert await shop.reports.of(SHOP) == kept
        again = await shop.reports.again(SHOP)
        assert (again.metrics, again.verdict, again.effect) == (kept.metrics, kept.verdict, kept.effect)
        assert [each.visitors for each in kept.variants] == [210, 210]
        assert kept.looked_at == kept.ended_at


async def test_a_look_is_taken_at_the_end_of_each_day_also_of_those_that_were_missed(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()  # at 13:00 in Vienna
        shop.visit(split, 0, 200, {"master": 20, "test": 22})
        await shop.daily.take()
        assert await shop.world.registry.looks(split.id) == ()
        shop.world.clock.advance(2.9 * 86_400)
        await shop.daily.take()
        await shop.daily.take()
        looks = [read(text) for text in await shop.world.registry.looks(split.id)]
        assert [_EPOCH + timedelta(milliseconds=look.at) for look in looks] == [
            datetime(2026, 3, day, 23, tzinfo=UTC) for day in (1, 2, 3)
        ]
        assert {arm.visitors for look in looks for arm in look.arms} == {0}, "nobody is mature before three days"
        shop.world.clock.advance(86_400)
        await shop.daily.take()
        latest = read((await shop.world.registry.looks(split.id))[-1])
        assert [(arm.branch, arm.visitors, arm.conversions) for arm in latest.arms] == [
            ("master", 200, 20),
            ("test", 200, 22),
        ]


async def test_what_a_missed_look_sees_is_what_had_come_by_then(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 200, {"master": 20, "test": 22})
        shop.world.clock.advance(3.6 * 86_400)
        shop.visit(split, 1000, 200, {"master": 0, "test": 200})
        shop.world.clock.advance(5 * 86_400)
        await shop.daily.take()
        looks = [read(text) for text in await shop.world.registry.looks(split.id)]
        assert [sum(arm.visitors for arm in look.arms) for look in looks] == [0, 0, 0, 400, 400, 400, 400, 800, 800]
        assert [look.variants[0][1].visitors for look in looks][3:] == [400, 400, 400, 400, 800, 800]


async def test_a_report_that_shows_a_decision_keeps_the_look_and_the_verdict_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 500, {"master": 50, "test": 150})
        shop.world.clock.advance(3.5 * 86_400)
        report = await shop.reports.of(SHOP)
        assert (report.verdict.verdict, report.verdict.variant) == (Verdict.SHIP, "test")
        assert len(await shop.world.registry.looks(split.id)) == 1
        shop.visit(split, 5000, 2000, {"master": 900, "test": 400})
        shop.world.clock.advance(4 * 86_400)
        later = await shop.reports.of(SHOP)
        assert (later.verdict.verdict, later.decided_at) == (Verdict.SHIP, report.looked_at)


async def test_reports_of_splits_that_ended_are_kept_without_anybody_asking(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        await shop.world.registry.cancel_split(SHOP)
        shop.ledger.away = True
        with pytest.raises(LedgerUnavailable):
            await shop.daily.take()
        assert await shop.world.registry.kept_report(split.id) is None
        shop.ledger.away = False
        await shop.daily.take()
        assert await shop.world.registry.kept_report(split.id) is not None
        shop.ledger.away = True
        await shop.daily.take()


async def test_no_look_is_taken_where_nothing_decides_or_a_date_does(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        for brief in (Brief(), Brief(metric=MetricName("purchase"), decide_at=datetime(2026, 4, 1, tzinfo=UTC))):
            split = await shop.split(brief)
            shop.world.clock.advance(2 * 86_400)
            await shop.daily.take()
            assert await shop.world.registry.looks(split.id) == ()
            await shop.world.registry.cancel_split(SHOP)


async def test_a_metric_is_cut_by_a_dimension(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 150, {"master": 30, "test": 60})
        found = await shop.reports.by_dimension(SHOP, "release")
        assert (found.metric, found.dimension, found.exploratory) == ("purchase", "release", True)
        ((cut),) = found.cuts
        assert cut.bucket == "3"
        assert [(each.branch, each.visitors, each.converted) for each in cut.outcomes] == [
            ("master", 150, 30),
            ("test", 150, 60),
        ]
        value = await shop.reports.by_dimension(SHOP, "release", MetricName("purchase.value"))
        assert [each.value for each in value.cuts[0].outcomes] == [2.0, 4.0]
        with pytest.raises(NotFound, match=r"has no metric nothing; there are: purchase, purchase\.value"):
            await shop.reports.by_dimension(SHOP, "release", MetricName("nothing"))


async def test_the_report_by_release_names_the_releases_that_were_live(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split()
        shop.visit(split, 0, 10, {"master": 1, "test": 2})
        found = await shop.reports.by_release(SHOP)
        live = (await shop.world.registry.snapshot()).live(SHOP)
        assert {each.branch: each.visitors for each in found.releases} == {"master": 10, "test": 10}
        assert set(live) == {BranchName("master"), BranchName("test")}


async def test_without_app_split_or_ledger_the_error_says_which(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        with pytest.raises(AppNotFound):
            await shop.reports.of(AppName("nobody"))
        with pytest.raises(SplitNotFound):
            await shop.reports.of(SHOP)
        await shop.split()
        shop.ledger.away = True
        with pytest.raises(LedgerUnavailable):
            await shop.reports.of(SHOP)


async def tell_of_verdicts(shop: Shop) -> None:
    """Add somebody who wants to hear of verdicts."""
    address, kinds = Address("http://127.0.0.1:1/"), (NoticeKind.SPLIT_VERDICT,)
    await shop.world.registry.add_target(TargetKind.SLACK, address, secret=None, kinds=kinds, app=None)


async def told(shop: Shop) -> list[Notice]:
    """Return what waits for them; the oldest alone is due."""
    return [delivery.kept.notice for delivery in await shop.world.registry.due()]


async def test_a_verdict_is_told_once_with_its_figures_by_whatever_look_made_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await tell_of_verdicts(shop)
        split = await shop.split()
        shop.visit(split, 0, 3000, {"master": 150, "test": 600})
        await shop.daily.watch()
        assert await told(shop) == []
        shop.world.clock.advance(3.5 * 86_400)
        await shop.daily.watch()
        (notice,) = await told(shop)
        assert notice.kind is NoticeKind.SPLIT_VERDICT
        assert (
            notice.text == f"shop: the verdict on the split {split.id} is: ship test; test is better than the control"
        )
        (figures,) = cast("list[dict[str, float]]", notice.facts["variants"])
        assert figures["difference"] == pytest.approx(0.15)
        assert 0 < figures["low"] < 0.15 < figures["high"]
        assert json.loads(json.dumps(notice.facts)) == notice.facts
        (delivery,) = await shop.world.registry.due()
        await shop.world.registry.settle(delivery, None)
        shop.world.clock.advance(3 * 86_400)
        await shop.daily.take()
        await shop.daily.watch()
        assert await told(shop) == []


async def test_a_daily_look_that_decides_tells_the_verdict_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await tell_of_verdicts(shop)
        shop.visit(await shop.split(), 0, 3000, {"master": 150, "test": 600})
        shop.world.clock.advance(6 * 86_400)
        await shop.daily.take()
        (notice,) = await told(shop)
        assert notice.facts["verdict"] == "ship"


async def test_a_sample_ratio_that_alarms_is_told_without_anybody_asking(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        split = await shop.split(Brief())
        shop.visit(split, 0, 1000, {"master": 1, "test": 1})
        shop.world.clock.advance(60)
        await shop.daily.watch()
        assert shop.teller.told == []
        shop.visit(split, 5000, 1000, {"master": 1})
        shop.world.clock.advance(60)
        await shop.daily.watch()
        await shop.daily.watch()
        (notice,) = shop.teller.told
        assert (notice.kind, notice.app) == (NoticeKind.SAMPLE_RATIO_ALARM, SHOP)
        assert notice.facts["visitors"] == {"master": 2000, "test": 1000}
        assert notice.text.startswith(f"shop: the split {split.id} is broken")
