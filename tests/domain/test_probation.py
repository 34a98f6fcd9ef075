"""Probation."""

from dataclasses import replace
from datetime import timedelta

import pytest

from balancer.domain.plan import Exit
from balancer.domain.probation import PROBATION, failures
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.snapshot import Snapshot
from values import START, instance, release

SECOND = timedelta(seconds=1)
LIVE = release(2)
SNAPSHOT = Snapshot(
    releases=(release(1, state=ReleaseState.DRAINING), LIVE), instances=(instance(11, 1), instance(12, 2))
)


def exits(number: int, seconds: float) -> dict[int, Exit]:
    """Return the end of an instance, so long after the switch."""
    return {number: Exit(at=START + SECOND * seconds, restarts=0)}


def test_an_instance_that_ends_by_itself_soon_after_the_switch_fails_its_release() -> None:
    (failure,) = failures(SNAPSHOT, exits(12, 2.04), START + SECOND * 3)
    assert (failure.release, failure.instance.id) == (LIVE, 12)
    assert str(failure) == "web.1 ended by itself 2.0 s after it went live"


@pytest.mark.parametrize("seconds", [-1, PROBATION.total_seconds() + 1])
def test_what_ended_before_the_switch_or_long_after_it_does_not_count(seconds: float) -> None:
    assert not list(failures(SNAPSHOT, exits(12, seconds), START + SECOND * max(seconds, 0)))


def test_nothing_is_done_about_an_end_that_is_long_over() -> None:
    assert not list(failures(SNAPSHOT, exits(12, 1), START + PROBATION + SECOND))


def test_an_instance_that_was_asked_to_end_and_one_of_a_draining_release_do_not_count() -> None:
    scaled_down = replace(SNAPSHOT, instances=(instance(11, 1), instance(12, 2, InstanceState.DRAINING)))
    assert not list(failures(scaled_down, exits(12, 1), START + SECOND))
    assert not list(failures(SNAPSHOT, exits(11, 1), START + SECOND))


def test_a_release_fails_once_however_many_of_its_instances_end() -> None:
    two = replace(SNAPSHOT, instances=(instance(12, 2), instance(13, 2, index=2)))
    assert len(list(failures(two, {**exits(12, 1), **exits(13, 1)}, START + SECOND))) == 1
