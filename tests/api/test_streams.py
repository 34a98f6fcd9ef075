"""Work that tells of itself while it goes on, and that is over when its reader is."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import cast

import pytest

from balancer.api.streams import lines_of
from balancer.errors import BuildFailed
from balancer.services.interfaces import Tell
from waiting import eventually

pytestmark = pytest.mark.anyio
Work = Callable[[Tell], Awaitable[int]]


async def read(work: Work) -> tuple[list[str], asyncio.Task[int]]:
    """Return all lines, and the task that came last."""
    *lines, task = [item async for item in lines_of(work)]
    assert isinstance(task, asyncio.Task)
    return cast("list[str]", lines), task


async def test_every_line_comes_in_order_and_the_result_last() -> None:
    async def work(tell: Tell) -> int:
        for number in range(100):
            tell(str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        return 42

    lines, task = await read(work)
    assert lines == [str(number) for number in range(100)]
    assert task.result() == 42


async def test_work_that_says_nothing_has_a_result() -> None:
    async def work(tell: Tell) -> int:
        return 42

    lines, task = await read(work)
    assert (lines, task.result()) == ([], 42)


async def test_what_is_said_in_the_last_moment_is_not_lost() -> None:
    async def work(tell: Tell) -> int:
        await asyncio.sleep(0)
        for line in ("all", "at", "once"):
            tell(line)
        return 0

    assert (await read(work))[0] == ["all", "at", "once"]


async def test_a_failure_comes_last_after_what_was_said() -> None:
    async def work(tell: Tell) -> int:
        tell("it breaks")
        raise BuildFailed("because")

    lines, task = await read(work)
    assert lines == ["it breaks"]
    assert isinstance(task.exception(), BuildFailed)


async def test_a_line_comes_while_the_work_goes_on() -> None:
    go_on = asyncio.Event()

    async def work(tell: Tell) -> int:
        tell("first")
        await go_on.wait()
        tell("second")
        return 0

    stream = lines_of(work)
    assert await anext(stream) == "first"
    go_on.set()
    assert await anext(stream) == "second"
    assert isinstance(await anext(stream), asyncio.Task)


class Cleaned:
    """Work that never ends, and that notes what it does when it is cancelled."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def __call__(self, tell: Tell) -> int:
        try:
            tell("begun")
            await asyncio.Event().wait()
        finally:
            self.steps.append("cancelled")
            for _ in range(3):
                await asyncio.sleep(0)
            self.steps.append("cleaned up")
        return 0


async def test_when_the_reader_closes_the_stream_the_work_is_cancelled_and_waited_for() -> None:
    work = Cleaned()
    async with asyncio.timeout(10), aclosing(lines_of(work)) as stream:  # type: ignore[type-var]
        assert await anext(stream) == "begun"
    assert work.steps == ["cancelled", "cleaned up"]


async def test_when_the_reader_is_cancelled_the_work_is_cleaned_up_all_the_same() -> None:
    work = Cleaned()
    lines: list[object] = []

    async def reader() -> None:
        async for line in lines_of(work):
            lines.append(line)  # noqa: PERF401 - that it has come is what is waited for

    reading = asyncio.ensure_future(reader())
    await eventually(lambda: lines, 30)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await eventually(lambda: work.steps == ["cancelled", "cleaned up"], 30)


async def test_when_the_reader_has_all_nothing_is_cancelled() -> None:
    cancelled = False

    async def work(tell: Tell) -> int:
        nonlocal cancelled
        try:
            tell("only")
            return 1
        except asyncio.CancelledError:
            cancelled = True
            raise

    _, task = await read(work)
    assert task.result() == 1
    assert not cancelled
