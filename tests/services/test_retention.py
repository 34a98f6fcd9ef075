"""Retention: whole days go, and what a running split needs stays."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer.domain.event_row import Erased
from balancer.services.retention import Retention
from registries import World, open_world

pytestmark = pytest.mark.anyio
DAY = 86_400


class Asked:
    """A ledger that notes what it is asked."""

    def __init__(self) -> None:
        self.kept_since: dict[str, int] = {}
        self.otherwise = 0

    async def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
        self.kept_since, self.otherwise = dict(kept_since), otherwise
        return {"shop": Erased(events=1)}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as made:
        yield made


async def test_whole_days_go(world: World) -> None:
    ledger = Asked()
    await Retention(world.registry, ledger, world.clock, 30).apply()
    assert ledger.kept_since == {}
    assert ledger.otherwise == datetime(2026, 1, 30, tzinfo=UTC).timestamp() * 1000  # 30 days before 2026-03-01


async def test_what_arrived_since_a_running_split_began_stays(world: World) -> None:
    split = await world.split_evenly()
    ledger = Asked()
    world.clock.advance(10 * DAY)
    await Retention(world.registry, ledger, world.clock, 30).apply()
    assert ledger.kept_since == {"shop": ledger.otherwise}  # it is younger than what is kept anyway
    world.clock.advance(90 * DAY)
    await Retention(world.registry, ledger, world.clock, 30).apply()
    assert ledger.kept_since == {"shop": round(split.started_at.timestamp() * 1000)}
    assert ledger.kept_since["shop"] < ledger.otherwise
    await world.registry.pause_split(split.app)
    await Retention(world.registry, ledger, world.clock, 30).apply()
    assert ledger.kept_since
    await world.registry.cancel_split(split.app)
    await Retention(world.registry, ledger, world.clock, 30).apply()
    assert ledger.kept_since == {}
