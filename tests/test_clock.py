"""The clock: it goes on, and is wrong only where a test asks for it."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.clock import SystemClock

_TELL = "from balancer.clock import SystemClock\nprint(SystemClock()().isoformat(), SystemClock().ticks())"


def told(**variables: str) -> tuple[timedelta, float]:
    """Return by how much the clock of another process is ahead of ours, and its ticks."""
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", _TELL], env=environment, capture_output=True, text=True, check=True)
    at, ticks = done.stdout.split()
    return datetime.fromisoformat(at) - datetime.now(UTC), float(ticks)


def test_time_goes_by_that_nobody_waits_for_where_a_test_asks_for_it(tmp_path: Path) -> None:
    chosen = tmp_path / "offset"
    chosen.write_text("3600 7200")
    before = SystemClock().ticks()
    ahead, ticks = told(BALANCER_CLOCK_OFFSET=str(chosen))
    assert abs(ahead - timedelta(seconds=3600)) < timedelta(seconds=10)
    assert before <= ticks - 7200 <= SystemClock().ticks()


def test_it_tells_the_time_in_utc_and_ticks_that_go_on() -> None:
    clock = SystemClock()
    assert abs(clock() - datetime.now(UTC)) < timedelta(seconds=10)
    assert 0 <= clock.ticks() <= clock.ticks()


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_it_is_wrong_by_what_a_test_asks_for_and_its_ticks_are_not(tmp_path: Path, seconds: float) -> None:
    chosen = tmp_path / "offset"
    assert abs(told(BALANCER_CLOCK_OFFSET=str(chosen))[0]) < timedelta(seconds=10)
    chosen.write_text(str(seconds))
    before = SystemClock().ticks()
    ahead, ticks = told(BALANCER_CLOCK_OFFSET=str(chosen))
    assert abs(ahead - timedelta(seconds=seconds)) < timedelta(seconds=10)
    assert before <= ticks <= SystemClock().ticks()
