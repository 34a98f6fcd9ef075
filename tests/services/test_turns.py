"""Turns: what changes the same branch happens one after the other, in the order in which it was asked for."""

import asyncio

import pytest

from balancer.domain.app import BranchName
from balancer.services.turns import Turns
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio


class Line:
    """Changes that hold their turn until they are let go."""

    def __init__(self) -> None:
        self.turns, self.at_work, self.told = Turns(), list[str](), list[str]()
        self._let_go: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def enter(self, name: str, branch: BranchName | None, app: str = SHOP) -> None:
        """Begin a change, and let it come as far as it can."""
        self._let_go[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._work(name, branch, app))
        for _ in range(10):
            await asyncio.sleep(0)

    async def leave(self, name: str) -> None:
        """End a change."""
        self._let_go[name].set()
        await self._tasks[name]
        for _ in range(10):
            await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        """Cancel a change, wherever it is."""
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        for _ in range(10):
            await asyncio.sleep(0)

    async def _work(self, name: str, branch: BranchName | None, app: str) -> None:
        async with self.turns.of(type(SHOP)(app), branch, self.told.append):
            self.at_work.append(name)
            try:
                await self._let_go[name].wait()
            finally:
                self.at_work.remove(name)


async def test_one_branch_is_changed_by_one_at_a_time_in_order_and_others_meanwhile() -> None:
    line = Line()
    for name, branch, app in [
        ("a", MASTER, SHOP),
        ("b", MASTER, SHOP),
        ("c", MASTER, SHOP),
        ("d", TEST, SHOP),
        ("e", MASTER, BLOG),
    ]:
        await line.enter(name, branch, app)
    assert line.at_work == ["a", "d", "e"]
    await line.leave("a")
    assert line.at_work == ["d", "e", "b"]
    await line.leave("b")
    assert line.at_work == ["d", "e", "c"]
    assert line.told == ["-----> Another deploy of shop master is under way; waiting for its turn"] * 2


async def test_a_change_of_the_whole_app_waits_for_all_branches_and_all_wait_for_it() -> None:
    line = Line()
    await line.enter("a", MASTER)
    await line.enter("all", None)
    await line.enter("b", TEST)
    assert line.at_work == ["a"]
    await line.leave("a")
    assert line.at_work == ["all"]
    await line.leave("all")
    assert line.at_work == ["b"]


async def test_whoever_gives_up_waiting_or_fails_holds_up_nobody() -> None:
    line = Line()
    await line.enter("a", MASTER)
    await line.enter("b", MASTER)
    await line.enter("c", MASTER)
    await line.cancel("b")
    await line.cancel("a")
    await eventually(lambda: line.at_work == ["c"], 30)
