"""The last run of each cron job in the registry: each function a part of one transaction.

Invariant: of those who want to run a job in one minute, one may.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from balancer.domain.app import AppName
from balancer.domain.cron import CronRun, has_run
from balancer.domain.manifest import CronJob
from balancer.store import apps, tables

_T = tables.cron_runs


def all_of(connection: Connection, app: AppName) -> tuple[CronRun, ...]:
    """Return the last run of each job that an app has or had. Raises AppNotFound."""
    apps.get(connection, app)
    found = connection.execute(select(_T).where(_T.c.app == app))
    return tuple(
        CronRun(
            schedule=row.schedule,
            command=row.command,
            minute=row.minute,
            release=row.release,
            ended_at=row.ended_at,
            status=row.status,
        )
        for row in found
    )


def claim(connection: Connection, app: AppName, job: CronJob, minute: datetime, release: int) -> bool:
    """Note that a job runs in this minute; False where it has. Raises AppNotFound."""
    runs = {(run.schedule, run.command): run for run in all_of(connection, app)}
    if has_run(runs.get((job.schedule, job.command)), minute):
        return False
    connection.execute(delete(_T).where(*_is(app, job)))
    connection.execute(
        insert(_T).values(app=app, schedule=job.schedule, command=job.command, minute=minute, release=release)
    )
    return True


def end(connection: Connection, app: AppName, job: CronJob, status: int | None, now: datetime) -> None:
    """Note how the last run of a job has ended."""
    connection.execute(update(_T).where(*_is(app, job)).values(status=status, ended_at=now))


def _is(app: AppName, job: CronJob) -> tuple[ColumnElement[bool], ...]:
    return (_T.c.app == app, _T.c.schedule == job.schedule, _T.c.command == job.command)
