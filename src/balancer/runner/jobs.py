"""Cron jobs as processes: they outlive the daemon, and their output goes to a log of their release.

Invariants:
    * A job runs once at a time, also over a restart of the daemon: its mark finds it.
    * When it ends, all that it started ends with it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from balancer import processes
from balancer.domain.app import AppName
from balancer.domain.manifest import CronJob
from balancer.domain.release import Release
from balancer.errors import BuildFailed
from balancer.process_table import Mark
from balancer.processes import Ending, Process
from balancer.runner.environment import app_environment
from balancer.runner.workspace import Workspace

# `BALANCER_CRON=<data directory>:<app>:<digest of the job>`
_MARK = "BALANCER_CRON"


class Jobs:
    """Those of one data directory."""

    def __init__(
        self, workspace: Workspace, *, data_dir: Path, config_of: Callable[[int], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._workspace = workspace
        self._data_dir = data_dir
        self._config_of = config_of
        self._processes: dict[Mark, Process] = {}

    def running(self, app: AppName, job: CronJob) -> bool:
        """Tell whether a job runs."""
        process = self._processes.get(self._mark(app, job))
        return process is not None and process.running

    def adopt(self, app: AppName, job: CronJob) -> bool:
        """Find a job that a daemon before this one started, and tell whether it runs."""
        mark = self._mark(app, job)
        identity = processes.find(*mark)
        process = Process.adopt(identity, mark) if identity else None
        if process:
            self._processes[mark] = process
        return process is not None

    async def start(self, release: Release, number: int, job: CronJob) -> None:
        """Start a job, the one with this number in its manifest. Raises BuildFailed where it cannot be."""
        mark = self._mark(release.app, job)
        tree = self._workspace.tree(release)
        output = self._workspace.cron_log(release, number)
        config = await self._config_of(release.id)
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._processes[mark] = Process.spawn(
                ["/bin/sh", "-c", job.command],
                directory=tree,
                environment=app_environment(tree, release, config, dict([mark])),
                output=output,
                mark=mark,
            )
        except OSError as reason:
            raise BuildFailed(f"the cron job {job.command!r} of {release.app} could not be started: {reason}") from None

    async def wait(self, app: AppName, job: CronJob) -> Ending:
        """Return how a job that runs has ended, once it has."""
        return await self._processes[self._mark(app, job)].wait()

    async def stop_all(self, grace_seconds: float) -> None:
        """Stop every job and wait for it."""
        running = [process for process in self._processes.values() if process.running]
        await asyncio.gather(*(process.stop(grace_seconds) for process in running))

    def abandon(self) -> None:
        """Leave all jobs to themselves, running."""
        for process in self._processes.values():
            process.forget()

    def _mark(self, app: AppName, job: CronJob) -> Mark:
        digest = hashlib.sha256(f"{job.schedule}\n{job.command}".encode()).hexdigest()[:16]
        return _MARK, f"{self._data_dir}:{app}:{digest}"
