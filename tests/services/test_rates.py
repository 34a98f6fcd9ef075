"""Rates: what the proxy counts, as answers a second."""

import pytest

from balancer.domain.hard_stop import Answers
from balancer.errors import ProxyFailed
from balancer.services.rates import EVERY_SECONDS, KEPT, Rate, Rates, Series
from balancer.testing import FakeClock, FakeProxy

pytestmark = pytest.mark.anyio


class Counting(FakeProxy):
    """A proxy whose counters a test moves, with a clock that goes on by a sample each time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.silent = False
        self.rates = Rates(self, self.clock)

    async def answers(self) -> dict[str, Answers]:
        """Answer, unless it shall be silent."""
        if self.silent:
            raise ProxyFailed("silent")
        return await super().answers()

    async def count(self, *, seconds: float = EVERY_SECONDS, **answers: tuple[int, int]) -> None:
        """Say that each backend has so many failed and other answers by now."""
        self.clock.advance(seconds)
        self.answered = {name: Answers(failed=failed, other=other) for name, (failed, other) in answers.items()}
        await self.rates.sample()


async def test_a_rate_is_what_was_counted_from_one_sample_to_the_next_by_its_seconds() -> None:
    proxy = Counting()
    await proxy.count(shop=(0, 10))
    await proxy.count(shop=(1, 19))
    assert proxy.rates.of("shop").rates == (Rate(5.0, 0.5),)
    assert proxy.rates.of("other").rates == (Rate(0.0, 0.0),)


async def test_counters_that_began_anew_give_no_negative_rate() -> None:
    proxy = Counting()
    await proxy.count(shop=(5, 1000))
    await proxy.count(shop=(0, 6))
    assert proxy.rates.of("shop").rates == (Rate(3.0, 0.0),)


async def test_a_proxy_that_does_not_answer_leaves_a_gap_and_nothing_is_made_up() -> None:
    proxy = Counting()
    await proxy.count(shop=(0, 10))
    proxy.silent = True
    await proxy.count(shop=(0, 20))
    proxy.silent = False
    await proxy.count(shop=(0, 30))
    assert proxy.rates.of("shop").rates == ()
    await proxy.count(shop=(0, 32))
    assert proxy.rates.of("shop").rates == (Rate(1.0, 0.0),)


async def test_a_series_has_a_rate_for_every_two_seconds_however_seldom_it_was_asked() -> None:
    proxy = Counting()
    await proxy.count(shop=(0, 0))
    await proxy.count(seconds=10, shop=(0, 20))
    assert proxy.rates.of("shop").rates == (Rate(2.0, 0.0),) * 5


async def test_no_more_than_five_minutes_are_remembered() -> None:
    proxy = Counting()
    for count in range(KEPT + 20):
        await proxy.count(shop=(0, count))
    assert len(proxy.rates.of("shop").rates) == KEPT
    await proxy.count(seconds=86_400, shop=(0, 0))
    assert len(proxy.rates.of("shop").rates) == KEPT


async def test_somebody_looks_for_a_minute_after_they_have_asked() -> None:
    proxy = Counting()
    assert not proxy.rates.is_watched
    proxy.rates.of("shop")
    proxy.clock.advance(59)
    assert proxy.rates.is_watched
    proxy.clock.advance(2)
    assert not proxy.rates.is_watched


def test_the_present_rate_is_the_mean_of_the_last_ten_seconds_and_unknown_before_the_first() -> None:
    assert Series().present is None
    assert Series((Rate(100.0, 9.0), *[Rate(2.0, 1.0)] * 4, Rate(7.0, 0.0))).present == Rate(3.0, 0.8)


async def test_a_request_now_and_then_is_told_as_a_part_of_one_a_second() -> None:
    proxy = Counting()
    await proxy.count(shop=(0, 0))
    for came in (1, 1, 1, 2, 2, 2, 2, 2, 2, 2):
        await proxy.count(shop=(0, came))
    present = proxy.rates.of("shop").present
    assert present is not None
    assert present.requests == pytest.approx(2 / 20)


async def test_of_many_requests_the_last_ten_seconds_are_told_and_of_none_for_a_minute_none() -> None:
    proxy = Counting()
    await proxy.count(shop=(0, 0))
    for number in range(1, 31):
        await proxy.count(shop=(0, 100 * number if number > 5 else 0))
    assert proxy.rates.of("shop").present == Rate(50.0, 0.0)
    for _ in range(30):
        await proxy.count(shop=(0, 3000))
    assert proxy.rates.of("shop").present == Rate(0.0, 0.0)
