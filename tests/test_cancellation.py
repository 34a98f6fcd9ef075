"""What cleans up goes to its end, however often whoever does it is cancelled."""

import asyncio

import pytest

from balancer.cancellation import to_its_end

pytestmark = pytest.mark.anyio


class Room:
    """Something that is cleaned up when somebody who works in it is broken off."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.is_clean = False
        self._failure = failure

    async def work(self) -> None:
        """Work until broken off, and clean up."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert await to_its_end(self._clean()) == "clean"
            raise

    async def _clean(self) -> str:
        self.begun.set()
        await self.may_end.wait()
        if self._failure:
            raise self._failure
        self.is_clean = True
        return "clean"


async def cancelled_twice(room: Room) -> asyncio.Task[None]:
    """Return one who works in a room and was cancelled, and again while they cleaned up, which has ended."""
    task = asyncio.create_task(room.work())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await room.begun.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        room.may_end.set()
        await asyncio.wait({task})
    return task


async def test_who_is_cancelled_twice_has_cleaned_up_and_is_cancelled() -> None:
    room = Room()
    task = await cancelled_twice(room)
    assert room.is_clean
    assert task.cancelled()


async def test_what_the_work_raises_is_raised() -> None:
    task = await cancelled_twice(Room(ValueError("the broom broke")))
    assert isinstance(task.exception(), ValueError)


async def test_without_a_cancellation_it_is_as_if_it_were_awaited() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await to_its_end(work()) == 7
