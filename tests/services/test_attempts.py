"""Attempts to sign in."""

import pytest

from balancer.errors import TooManyAttempts
from balancer.services import attempts
from balancer.services.attempts import Attempts
from balancer.testing import FakeClock


def tries(made: Attempts, address: str, times: int = 1) -> int:
    """Try so often, always with what is wrong, and return how often that was allowed."""
    allowed = 0
    for _ in range(times):
        try:
            made.begin(address)
        except TooManyAttempts:
            break
        allowed += 1
    return allowed


def test_an_address_may_fail_ten_times_and_then_once_a_minute() -> None:
    clock = FakeClock()
    made = Attempts(clock.ticks)
    assert tries(made, "192.0.2.1", 20) == 10
    with pytest.raises(TooManyAttempts, match="wait 60 s") as refused:
        made.begin("192.0.2.1")
    assert refused.value.retry_after_seconds == 60
    clock.advance(59)
    assert tries(made, "192.0.2.1") == 0
    clock.advance(1)
    assert tries(made, "192.0.2.1", 2) == 1
    assert tries(made, "192.0.2.2", 20) == 10


def test_what_was_good_counts_for_nothing() -> None:
    made = Attempts(FakeClock().ticks)
    for _ in range(500):
        made.begin("192.0.2.1")
        made.succeeded("192.0.2.1")
    tries(made, "192.0.2.1", 9)
    made.begin("192.0.2.1")
    made.succeeded("192.0.2.1")
    assert tries(made, "192.0.2.1", 20) == 10


def test_many_addresses_together_may_fail_a_hundred_times_and_then_once_a_second() -> None:
    clock = FakeClock()
    made = Attempts(clock.ticks)
    assert sum(tries(made, f"192.0.2.{each}") for each in range(200)) == 100
    with pytest.raises(TooManyAttempts, match="wait 1 s"):
        made.begin("192.0.2.250")
    clock.advance(3)
    assert sum(tries(made, f"198.51.100.{each}") for each in range(10)) == 3


def test_where_all_try_too_often_an_address_that_somebody_has_signed_in_from_may_still_try() -> None:
    made = Attempts(FakeClock().ticks)
    made.begin("192.0.2.1")
    made.succeeded("192.0.2.1")
    assert sum(tries(made, f"198.51.100.{each}") for each in range(200)) == 100
    assert tries(made, "192.0.2.1", 20) == 10


def test_the_time_that_is_set_changes_nothing() -> None:
    clock = FakeClock()
    made = Attempts(clock.ticks)
    tries(made, "192.0.2.1", 10)
    clock.set(86_400)
    assert tries(made, "192.0.2.1") == 0


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_ADDRESSES", 50)
    clock = FakeClock()
    made = Attempts(clock.ticks)
    for number in range(200):
        clock.advance(1)
        made.begin(f"10.0.0.{number}")
        if number % 2:
            made.succeeded(f"10.0.0.{number}")
    assert 40 < len(made._failing) <= 50
    assert len(made._known) == 50
