"""What goes on is looked after each second, each on its own, whatever fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from balancer.domain.app import AppName
from balancer.domain.split import SplitId
from balancer.errors import IllegalTransition, LedgerUnavailable
from balancer.services import lookout
from balancer.services.lookout import Lookout
from values import SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Steered:
    number: int
    app: AppName = SHOP
    split: SplitId = SplitId("s1")  # noqa: RUF009 - a name, and never changed


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_EVERY_SECONDS", 0.0)


@contextlib.asynccontextmanager
async def looking(
    look: Callable[[Steered], Awaitable[None]], those_open: Callable[[], Awaitable[list[Steered]]] | None = None
) -> AsyncIterator[None]:
    """Look after two."""

    async def two() -> list[Steered]:
        return [Steered(1), Steered(2)]

    running = asyncio.ensure_future(Lookout("rollout", those_open or two, look).run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_one_that_waits_holds_up_no_other_one_is_looked_at_once_at_a_time_and_ends_with_it() -> None:
    begun: list[int] = []
    broken_off: list[int] = []

    async def look(each: Steered) -> None:
        begun.append(each.number)
        if each.number == 1:
            try:
                await asyncio.Event().wait()
            finally:
                broken_off.append(each.number)

    async with looking(look):
        await eventually(lambda: begun.count(2) > 3, 30)
        assert begun.count(1) == 1
        assert broken_off == []
    assert broken_off == [1]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (IllegalTransition("it has moved on"), []),
        (LedgerUnavailable("away"), ["look.late"]),
        (ZeroDivisionError("a mistake"), ["look.broke"]),
    ],
)
async def test_after_a_look_that_fails_there_is_another_one(
    failure: Exception, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[int] = []

    async def look(each: Steered) -> None:
        looks.append(each.number)
        if looks.count(each.number) == 1 and each.number == 1:
            raise failure

    async with looking(look):
        await eventually(lambda: looks.count(1) > 2, 30)
    assert [record.getMessage() for record in caplog.records if record.name == "balancer.lookout"] == said


async def test_where_the_registry_does_not_say_what_goes_on_it_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []
    looks: list[int] = []

    async def those_open() -> list[Steered]:
        asked.append(1)
        if len(asked) == 1:
            raise LedgerUnavailable("away")
        return [Steered(1)]

    async def look(each: Steered) -> None:
        looks.append(each.number)

    async with looking(look, those_open):
        await eventually(lambda: looks, 30)
    assert [record.getMessage() for record in caplog.records if record.name == "balancer.lookout"] == ["look.blind"]
