"""Undertakings: changes that go on after the page that asked for them was answered."""

import asyncio

import pytest

from balancer.errors import Conflict, NotHealthy
from balancer.services.interfaces import Tell
from balancer.services.undertakings import KEPT_FOR, Undertakings
from balancer.testing import FakeClock
from values import BLOG, SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def undertakings(clock: FakeClock) -> Undertakings:
    return Undertakings(clock)


async def test_it_goes_on_when_nobody_waits_any_longer_and_what_it_told_is_kept(undertakings: Undertakings) -> None:
    gate = asyncio.Event()

    async def work(tell: Tell) -> None:
        tell("one\ntwo")
        await gate.wait()
        tell("three")

    begun = undertakings.begin(SHOP, "Scale web=2", work)
    assert not await undertakings.wait(begun, 0.01)
    assert begun.lines_from(0) == ["one", "two"]
    gate.set()
    assert await undertakings.wait(begun, 10)
    assert begun.lines_from(2) == ["three"]
    assert begun.lines_from(3) == []
    assert (undertakings.of(SHOP), undertakings.of(BLOG)) == ([begun], [])


async def test_one_that_fails_says_why(undertakings: Undertakings) -> None:
    async def fail(_: Tell) -> None:
        raise NotHealthy("web.1 ended")

    begun = undertakings.begin(SHOP, "Restart", fail)
    assert await undertakings.wait(begun, 10)
    assert (begun.failure, begun.error) == ("web.1 ended", begun.error)
    assert isinstance(begun.error, NotHealthy)


async def test_one_that_fails_by_a_fault_of_ours_does_not_tell_the_page_what(undertakings: Undertakings) -> None:
    async def fail(_: Tell) -> None:
        raise KeyError("secret")

    begun = undertakings.begin(SHOP, "Restart", fail)
    assert await undertakings.wait(begun, 10)
    assert begun.error is None
    assert "secret" not in str(begun.failure)


async def test_after_a_while_what_has_ended_is_forgotten(undertakings: Undertakings, clock: FakeClock) -> None:
    async def work(_: Tell) -> None:
        pass

    await undertakings.wait(undertakings.begin(SHOP, "Restart", work), 10)
    clock.advance(KEPT_FOR.total_seconds())
    assert len(undertakings.of(SHOP)) == 1
    clock.advance(1)
    assert undertakings.of(SHOP) == []


async def test_of_one_app_so_many_go_on_at_once_and_no_more(undertakings: Undertakings) -> None:
    gate = asyncio.Event()

    async def work(_: Tell) -> None:
        await gate.wait()

    begun = [undertakings.begin(SHOP, "Restart", work) for _ in range(20)]
    with pytest.raises(Conflict, match="20 changes of shop are under way"):
        undertakings.begin(SHOP, "Restart", work)
    undertakings.begin(BLOG, "Restart", work)
    gate.set()
    await eventually(lambda: all(each.ended_at for each in begun), 30)
    undertakings.begin(SHOP, "Restart", work)


async def test_of_more_lines_than_are_kept_the_latest_are_given_once(undertakings: Undertakings) -> None:
    async def work(tell: Tell) -> None:
        for number in range(700):
            tell(str(number))

    begun = undertakings.begin(SHOP, "Restart", work)
    assert await undertakings.wait(begun, 10)
    assert begun.lines_from(0) == [str(number) for number in range(200, 700)]
    assert begun.lines_from(698) == ["698", "699"]
