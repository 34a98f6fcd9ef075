"""Clock marks: a clock that is set is noticed, and doubted for a while."""

from datetime import UTC, datetime, timedelta

import pytest

from balancer.domain.clock_mark import DOUBT_SECONDS, ClockMark

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MARK = ClockMark(wall=NOON, ticks=1000.0)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [0, 1, 60, 30 * 86_400])
def test_a_clock_that_goes_on_with_the_ticks_is_believed_however_long_nobody_looked(seconds: float) -> None:
    mark = MARK.at(later(seconds + 2.5), 1000 + seconds)
    assert (mark.doubtful, MARK.set_by(later(seconds), 1000 + seconds)) == (False, 0.0)


@pytest.mark.parametrize("by", [3.5, -3.5, 86_400, -86_400])
def test_a_clock_that_was_set_is_in_doubt_for_a_while(by: float) -> None:
    assert MARK.set_by(later(10 + by), 1010) == pytest.approx(by)
    mark = MARK.at(later(10 + by), 1010)
    assert mark.doubtful
    assert mark.at(later(9 + by + DOUBT_SECONDS), 1009 + DOUBT_SECONDS).doubtful
    assert not mark.at(later(10 + by + DOUBT_SECONDS), 1010 + DOUBT_SECONDS).doubtful


def test_one_that_is_set_back_again_is_in_doubt_for_the_whole_while_from_then_on() -> None:
    mark = MARK.at(later(3600), 1000).at(later(100), 1100)
    assert mark.doubted_since == 1100


def test_after_a_restart_of_the_machine_what_was_in_doubt_stays_so_and_what_was_not_is_believed() -> None:
    assert not MARK.at(later(9000), 5).doubtful
    doubted = MARK.at(later(3600), 1000).at(later(9000), 5)
    assert (doubted.doubtful, doubted.doubted_since) == (True, 5)
