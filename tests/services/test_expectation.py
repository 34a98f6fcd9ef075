"""What the last split of an app says of the next one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.errors import AppNotFound, LedgerUnavailable
from balancer.services import expectation
from balancer.services.expectation import LEAST_VISITORS, Expectations, expected
from balancer.stats.cells import ExposedCell, SplitCells, SplitQuestion
from platforms import in_process
from registries import SHOP, World, open_world
from values import MASTER, TEST

pytestmark = pytest.mark.anyio
DAY = 86_400


class Answering:
    """A ledger that has seen so many visitors in each variant; or does not answer."""

    def __init__(self, visitors: int) -> None:
        self.visitors = visitors
        self.fails: BaseException | None = None
        self.hangs = False

    async def cells(self, question: SplitQuestion) -> SplitCells:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        return SplitCells(
            exposed=tuple(
                ExposedCell(phase=1, variant=variant, day=20_000, visitors=self.visitors)
                for variant in question.variants
                if self.visitors
            )
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_14_days_of_what_the_last_split_had_are_expected_and_never_too_few(world: World) -> None:
    ledger = Answering(4000)
    expectations = Expectations(world.registry, ledger, world.clock)
    assert await expectations.visitors(SHOP) == LEAST_VISITORS, "nothing is known of an app without a split"
    await world.split_evenly()
    world.clock.advance(0.9 * DAY)
    assert await expectations.visitors(SHOP) == LEAST_VISITORS, "less than a day says nothing of a day"
    world.clock.advance(3.1 * DAY)
    assert await expectations.visitors(SHOP) == 14 * 2000
    await world.registry.cancel_split(SHOP)
    world.clock.advance(100 * DAY)
    assert await expectations.visitors(SHOP) == 14 * 2000, "it counts while it ran, and no longer"
    for ledger.visitors in (0, 4):
        assert await expectations.visitors(SHOP) == LEAST_VISITORS


async def test_a_split_begins_also_where_the_ledger_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(expectation, "_PATIENCE_SECONDS", 0.01)
    ledger = Answering(4000)
    expectations = Expectations(world.registry, ledger, world.clock)
    await world.split_evenly()
    world.clock.advance(4 * DAY)
    ledger.fails = LedgerUnavailable("it starts")
    assert await expectations.visitors(SHOP) == LEAST_VISITORS
    ledger.hangs = True
    assert await expectations.visitors(SHOP) == LEAST_VISITORS
    assert [record.getMessage() for record in caplog.records].count("split.expectation.unknown") == 2
    with pytest.raises(AppNotFound):
        await expectations.visitors(AppName("none"))


async def test_a_split_is_frozen_with_what_was_expected_when_it_began(tmp_path: Path) -> None:
    async with in_process(tmp_path) as platform:
        work = await platform.create()
        for branch in (MASTER, TEST):
            await platform.push(work, {"index.html": branch}, branch)
        ledger = Answering(4000)
        platform.expectations._ledger = ledger
        assert (await platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, None)).expected_visitors == 5000
        platform.clock.advance(DAY)
        await platform.experiments.cancel(SHOP)
        split = await platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, None)
        assert split.expected_visitors == 14 * 8000
        ledger.visitors = 1
        assert (await platform.experiments.reshuffle(SHOP)).expected_visitors == 14 * 8000, "it is the same split"


def test_a_part_of_a_visitor_is_one() -> None:
    assert (expected(None), expected(1000.01)) == (5000, 14_001)
