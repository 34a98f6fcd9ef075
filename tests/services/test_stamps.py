"""Stamps."""

from datetime import timedelta

import pytest

from balancer.domain.release import InstanceState
from balancer.domain.snapshot import Snapshot
from balancer.services.stamps import Stamps
from balancer.testing import FakeClock
from values import START, instance, release

SNAPSHOT = Snapshot(
    releases=(release(1), release(2)),
    instances=(instance(11, 1, InstanceState.DRAINING), instance(12, 2)),
)


def test_a_clock_that_is_not_set_leaves_everything_as_it_is() -> None:
    clock = FakeClock(START)
    stamps = Stamps(clock)
    for seconds in (0, 0.9, 3600):
        clock.advance(seconds)
        assert stamps.mended(SNAPSHOT) == SNAPSHOT


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_what_has_gone_on_for_so_long_has_whatever_the_clock_is_set_to(seconds: float) -> None:
    clock = FakeClock(START + timedelta(seconds=5))
    stamps = Stamps(clock)
    stamps.mended(SNAPSHOT)
    for passed in (5, 10):
        clock.set(seconds)
        clock.advance(5)
        mended = stamps.mended(SNAPSHOT)
        since, activated = mended.instances[0].draining_since, mended.releases[1].activated_at
        assert since is not None
        assert activated is not None
        assert clock() - since == clock() - activated == timedelta(seconds=5 + passed)
        assert mended.instances[1] == SNAPSHOT.instances[1]


def test_what_is_stamped_after_the_clock_was_set_is_right_as_it_is() -> None:
    clock = FakeClock(START)
    stamps = Stamps(clock)
    stamps.mended(Snapshot(releases=(release(1),)))
    clock.set(3600)
    later = release(2, activated_at=clock())
    assert stamps.mended(Snapshot(releases=(release(1), later))).releases[1] == later


def test_drift_that_is_corrected_moves_nothing() -> None:
    clock = FakeClock(START)
    stamps = Stamps(clock)
    stamps.mended(SNAPSHOT)
    clock.set(0.9)
    assert stamps.mended(SNAPSHOT) == SNAPSHOT


def test_what_is_over_is_forgotten() -> None:
    clock = FakeClock(START)
    stamps = Stamps(clock)
    stamps.mended(SNAPSHOT)
    stamps.mended(Snapshot())
    clock.set(3600)
    assert stamps.mended(SNAPSHOT) == SNAPSHOT


def test_as_long_as_nothing_is_to_be_mended_it_is_the_same_object_and_what_is_not_mended_later_too() -> None:
    clock = FakeClock(START)
    stamps = Stamps(clock)
    assert stamps.mended(SNAPSHOT) is SNAPSHOT
    clock.set(3600)
    mended = stamps.mended(SNAPSHOT)
    assert mended is not SNAPSHOT
    assert mended.instances[1] is SNAPSHOT.instances[1]
