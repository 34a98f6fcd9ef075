"""The raw statistics, as a service: in the time zone of the app, over the range that was asked for."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from balancer.domain.calendar import TimeZone, Unit
from balancer.domain.split import SplitId
from balancer.errors import AppNotFound, InvalidInput, InvalidName, SplitNotFound
from balancer.services import raw_stats
from balancer.services.raw_stats import RawStats
from balancer.stats.raw import RawCells, RawQuestion
from balancer.store.ledger import DuckLedger
from entries import entry, load
from registries import BLOG, SHOP, World, manifest, open_world

pytestmark = pytest.mark.anyio


class Local:
    """A ledger in this process."""

    def __init__(self, engine: DuckLedger) -> None:
        self.engine = engine

    async def raw(self, question: RawQuestion) -> RawCells:
        return self.engine.raw(question)


class Shop:
    """An app with some events, and who counts them."""

    def __init__(self, world: World, engine: DuckLedger) -> None:
        self.world, self.engine = world, engine
        self.stats = RawStats(world.registry, Local(engine), world.clock, TimeZone("UTC"))

    def saw(self, *times: str) -> None:
        """Record an event at each time, of a visitor each."""
        ats = [round(datetime.fromisoformat(time).timestamp() * 1000) for time in times]
        load(self.engine, *(entry(number, "buy", ts=at) for number, at in enumerate(ats)))

    async def lives_in(self, zone: str) -> None:
        """Bring a release live whose manifest says so."""
        release = await self.world.build()
        release = await self.world.registry.start_release(release.id, replace(manifest(), timezone=zone))
        await self.world.healthy_instance(release)
        await self.world.registry.activate(release.id)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_world(tmp_path) as world:
        engine = DuckLedger(tmp_path / "ledger.duckdb", lambda: 1)
        yield Shop(world, engine)
        engine.close()


async def counts(shop: Shop, by: Unit, **asked: str) -> dict[str | None, int]:
    found = await shop.stats.of(SHOP, by, **asked)  # type: ignore[arg-type]
    return {row.bucket: row.count for row in found.rows}


async def test_the_apps_zone_decides_the_day_and_else_the_platforms(shop: Shop) -> None:
    shop.saw("2026-01-01T23:30:00Z", "2026-01-02T01:00:00Z")
    assert await counts(shop, Unit.DAY) == {"2026-01-01": 1, "2026-01-02": 1}
    await shop.lives_in("Europe/Vienna")
    assert await counts(shop, Unit.DAY) == {"2026-01-02": 2}


async def test_a_range_is_of_the_apps_days_and_tells_those_without_events_too(shop: Shop) -> None:
    await shop.lives_in("Europe/Vienna")
    shop.saw("2026-03-27T23:30:00Z", "2026-03-29T21:59:00Z", "2026-03-29T22:00:00Z")
    found = await shop.stats.of(SHOP, Unit.DAY, since="2026-03-28", until="2026-03-29")
    assert [(row.bucket, row.count) for row in found.rows] == [("2026-03-28", 1), ("2026-03-29", 1)]
    assert [(bucket.label, bucket.hours) for bucket in found.buckets] == [("2026-03-28", 24), ("2026-03-29", 23)]
    assert found.buckets[1].end == "2026-03-30T00:00+02:00"
    assert [(row.count, row.visitors, row.bucket) for row in found.totals] == [(2, 2, None)]


async def test_without_a_range_the_buckets_go_from_the_first_event_to_the_last(shop: Shop) -> None:
    shop.saw("2026-01-01T12:00:00Z", "2026-01-20T12:00:00Z")
    found = await shop.stats.of(SHOP, Unit.WEEK)
    assert [bucket.label for bucket in found.buckets] == ["2025-12-29", "2026-01-05", "2026-01-12", "2026-01-19"]
    assert (await shop.stats.of(SHOP, None)).buckets == ()


async def test_a_branch_is_called_by_its_name_where_a_split_knows_it(shop: Shop) -> None:
    await shop.world.split_evenly()
    shop.saw("2026-01-01T12:00:00Z")
    found = await shop.stats.of(SHOP, None, split=SplitId("s1"))
    assert [row.branch for row in found.totals] == ["test"]


async def test_what_is_not_there_or_too_much_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.saw("2026-01-01T12:00:00Z", "2026-02-20T12:00:00Z")
    with pytest.raises(AppNotFound):
        await shop.stats.of(BLOG, Unit.DAY)
    with pytest.raises(SplitNotFound):
        await shop.stats.of(SHOP, Unit.DAY, split=SplitId("s9"))
    with pytest.raises(InvalidInput, match="the earlier one first"):
        await shop.stats.of(SHOP, Unit.DAY, since="2026-01-02", until="2026-01-01")
    monkeypatch.setattr(raw_stats, "_BUCKETS_LIMIT", 10)
    with pytest.raises(InvalidInput, match="name a shorter range"):
        await shop.stats.of(SHOP, Unit.DAY)


async def test_a_zone_that_this_machine_no_longer_knows_is_named(shop: Shop) -> None:
    await shop.lives_in("Mars/Olympus")
    with pytest.raises(InvalidName, match="Mars/Olympus"):
        await shop.stats.of(SHOP, Unit.DAY)
