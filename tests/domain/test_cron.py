"""Cron: when jobs are due. All in UTC, to the minute."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from balancer.domain.cron import CronRun, has_run, is_due, minute_of, next_after
from balancer.domain.manifest import CronJob

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def job(schedule: str) -> CronJob:
    """Return a job."""
    return CronJob(schedule=schedule, command="true")


@pytest.mark.parametrize(
    ("schedule", "minutes"),
    [("* * * * *", [0, 1, 2, 3, 4, 5]), ("*/5 * * * *", [0, 5]), ("1 12 * * *", [1]), ("1 11 * * *", [])],
)
def test_a_job_is_due_in_the_minutes_of_its_schedule(schedule: str, minutes: list[int]) -> None:
    assert [n for n in range(6) if is_due(job(schedule), NOON + n * MINUTE)] == minutes


def test_schedules_are_in_utc_whatever_the_clock_shows() -> None:
    vienna = datetime(2026, 3, 1, 13, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert minute_of(vienna) == NOON
    assert next_after(job("0 13 * * *"), vienna) == NOON + 60 * MINUTE
    assert next_after(job("0 12 * * *"), vienna) == NOON + timedelta(days=1)


def test_a_job_runs_once_in_a_minute_also_where_the_clock_goes_back_a_little() -> None:
    last = CronRun(schedule="* * * * *", command="true", minute=NOON, release=1, ended_at=None, status=None)
    assert not has_run(None, NOON)
    assert not has_run(last, NOON + MINUTE)
    assert has_run(last, NOON)
    assert has_run(last, NOON - 59 * MINUTE)
    assert not has_run(last, NOON - 61 * MINUTE), "a clock that was a day ahead holds up nothing for a day"
