"""Cron: when jobs are due. All in UTC, to the minute.

Invariants:
    * A job is due in a minute or it is not: what was missed is not made up for.
    * A job runs once in a minute at most, also where the clock is set back a little.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from balancer.domain.manifest import CronJob

_MINUTE = timedelta(minutes=1)
# One hour: a run further in the future was noted while the clock was wrong, and holds up nothing.
_CLOCK_ERROR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CronRun:
    """The last run of a job."""

    schedule: str
    command: str
    minute: datetime
    """For which it was started."""
    release: int
    """The number of the release that ran it."""
    ended_at: datetime | None
    """None while it runs, or where nobody saw its end."""
    status: int | None
    """As `Ending.status`."""


def minute_of(now: datetime) -> datetime:
    """Return the minute that `now` lies in."""
    return now.astimezone(UTC).replace(second=0, microsecond=0)


def is_due(job: CronJob, minute: datetime) -> bool:
    """Tell whether a job is to run in a minute."""
    return next_after(job, minute - _MINUTE) == minute


def next_after(job: CronJob, moment: datetime) -> datetime | None:
    """Return the first minute after `moment` in which a job is due, None where none comes."""
    coming = next(CronSim(job.schedule, moment.astimezone(UTC).replace(tzinfo=None)), None)
    return coming.replace(tzinfo=UTC) if coming else None


def has_run(last: CronRun | None, minute: datetime) -> bool:
    """Tell whether the last run of a job forbids one in `minute`."""
    return last is not None and minute <= last.minute <= minute + _CLOCK_ERROR
