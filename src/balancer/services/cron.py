"""Cron: the jobs of each app's default branch, run when they are due.

Invariants:
    * A job is started once in a minute at most, whoever dies when, and not while its last run goes on.
    * Of an app that is stopped or in maintenance none is.
    * What was due while the daemon was away is not made up for.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppMode, AppName
from balancer.domain.cron import CronRun, is_due, minute_of, next_after
from balancer.domain.manifest import CronJob
from balancer.domain.release import Release
from balancer.domain.snapshot import Snapshot
from balancer.errors import BalancerError
from balancer.services.registry import Registry

log = logs.named("cron")
_MODES = {AppMode.SERVING, AppMode.PAUSED}
_MINUTE = timedelta(minutes=1)


class JobEnding(Protocol):
    """How a job has ended."""

    @property
    def status(self) -> int | None:
        """Exit status, the negated number of a signal, or None where nobody told us."""


class Jobs(Protocol):
    """Cron jobs as processes."""

    def running(self, app: AppName, job: CronJob) -> bool:
        """Tell whether a job runs."""

    def adopt(self, app: AppName, job: CronJob) -> bool:
        """Find a job that a daemon before this one started, and tell whether it runs."""

    async def start(self, release: Release, number: int, job: CronJob) -> None:
        """Start a job, the one with this number in its manifest. Raises BuildFailed where it cannot be."""

    async def wait(self, app: AppName, job: CronJob) -> JobEnding:
        """Return how a job that runs has ended, once it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job of an app, for people."""

    job: CronJob
    next: datetime | None
    """When it is due next, where the app is neither stopped nor in maintenance."""
    last: CronRun | None
    running: bool


class Cron:
    """Runs what is due."""

    def __init__(self, registry: Registry, jobs: Jobs, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._jobs = jobs
        self._clock = clock
        self._watches: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look at the beginning of each minute; until cancelled."""
        await self.take_over()
        looked_at = minute_of(self._clock())
        try:
            while True:
                now = self._clock()
                await asyncio.sleep((minute_of(now) + _MINUTE - now).total_seconds())
                minute = minute_of(self._clock())
                if minute == looked_at:  # woken a little early
                    continue
                looked_at = minute
                try:
                    await self.look(minute)
                except Exception as error:  # noqa: BLE001 - the next minute is another chance, whatever failed
                    log.error("cron.broke", error=error)
        finally:
            for watch in self._watches:
                watch.cancel()

    async def take_over(self) -> None:
        """Find the jobs that a daemon before this one left running, and note their ends."""
        for release, job, _ in _all_jobs(await self._registry.snapshot()):
            if self._jobs.adopt(release.app, job):
                self._watch(release, job)

    async def look(self, minute: datetime) -> None:
        """Start what is due in a minute."""
        snapshot = await self._registry.snapshot()
        modes = {app.name: app.mode for app in snapshot.apps}
        for release, job, number in _all_jobs(snapshot):
            if modes[release.app] not in _MODES or not is_due(job, minute):
                continue
            if self._jobs.running(release.app, job):
                log.warning("cron.still.running", app=release.app, command=job.command)
                continue
            try:
                if await self._registry.claim_cron(release.app, job, minute, release.number):
                    await self._jobs.start(release, number, job)
                    log.info("cron.started", app=release.app, release=release.number, command=job.command)
                    self._watch(release, job)
            except BalancerError as reason:
                log.error("cron.not.started", app=release.app, command=job.command, reason=str(reason))

    async def entries(self, app: AppName) -> list[Entry]:
        """Return the jobs of an app. Raises AppNotFound."""
        found, snapshot = await self._registry.app(app), await self._registry.snapshot()
        last: Mapping[tuple[str, str], CronRun] = {
            (run.schedule, run.command): run for run in await self._registry.cron_runs(app)
        }
        return [
            Entry(
                job=job,
                next=next_after(job, self._clock()) if found.mode in _MODES else None,
                last=last.get((job.schedule, job.command)),
                running=self._jobs.running(app, job),
            )
            for release, job, _ in _all_jobs(snapshot)
            if release.app == app
        ]

    def _watch(self, release: Release, job: CronJob) -> None:
        watch = asyncio.ensure_future(self._note_end(release, job))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _note_end(self, release: Release, job: CronJob) -> None:
        ending = await self._jobs.wait(release.app, job)
        if ending.status:
            log.warning(
                "cron.failed", app=release.app, release=release.number, command=job.command, status=ending.status
            )
        else:
            log.info("cron.ended", app=release.app, release=release.number, command=job.command)
        try:
            await self._registry.end_cron(release.app, job, ending.status)
        except BalancerError as reason:
            log.warning("cron.end.not.noted", app=release.app, command=job.command, reason=str(reason))


def _all_jobs(snapshot: Snapshot) -> list[tuple[Release, CronJob, int]]:
    """Return each job of the live releases of default branches once, with its number in the manifest, from 1."""
    found = []
    for app in snapshot.apps:
        release = snapshot.live(app.name).get(app.default_branch) if app.default_branch else None
        jobs = release.manifest.cron if release and release.manifest else ()
        for number, job in enumerate(jobs, 1):
            if release and job not in jobs[: number - 1]:
                found.append((release, job, number))
    return found
