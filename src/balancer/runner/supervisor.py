"""The instances as processes: started, found again, watched, stopped.

Invariants:
    * A process is recorded before anybody relies on it; one started and not recorded is found by its environment.
    * One instance is one process group; when it is stopped the whole group is gone.
    * The daemon's end leaves them running.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from balancer import logs, processes
from balancer.domain.plan import STEADY_AFTER, Exit
from balancer.domain.release import Instance, ProcessId, Release
from balancer.errors import NotHealthy
from balancer.processes import Process
from balancer.runner.environment import app_environment
from balancer.runner.health import Probes
from balancer.runner.workspace import Workspace

log = logs.named("supervisor")
_MARK = "BALANCER_INSTANCE"
_STOP_GRACE_SECONDS = 30.0
_SHOWN_LINES = 20


class Supervisor:
    """Keeps the processes of one data directory."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        domain: str,
        clock: Callable[[], datetime],
        config_of: Callable[[int], Awaitable[Mapping[str, str]]],
        record: Callable[[int, ProcessId], Awaitable[None]],
    ) -> None:
        self._workspace = workspace
        self._domain = domain
        self._clock = clock
        self._config_of = config_of
        self._record = record
        self._processes: dict[int, Process] = {}
        self._started_at: dict[int, datetime] = {}
        self._stopping: dict[int, asyncio.Task[None]] = {}
        self._ending: set[int] = set()
        """Instances that were asked to end."""
        self._watches: set[asyncio.Task[None]] = set()
        self.exits: dict[int, Exit] = {}
        """The latest unasked-for end of each instance."""
        self.on_exit: Callable[[], None] = lambda: None
        """Called whenever the process of an instance has ended."""

    def running(self) -> frozenset[int]:
        """Return the instances whose process is there."""
        return frozenset(number for number, process in self._processes.items() if process.running)

    def ending(self) -> frozenset[int]:
        """Return the instances that were asked to end, whether they have or not."""
        return frozenset(self._ending)

    async def start(self, instance: Instance, release: Release) -> None:
        """Start the process of an instance and record it. Raises NotHealthy where it cannot even begin."""
        tree = self._workspace.tree(release)
        config = await self._config_of(release.id)
        facts = {
            "PORT": str(instance.port),
            "BALANCER_APP": release.app,
            "BALANCER_BRANCH": release.branch,
            "BALANCER_RELEASE": str(release.number),
            "BALANCER_COMMIT": release.commit,
            _MARK: self._mark(instance),
        }
        output = self._workspace.instance_log(release, instance)
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            process = Process.spawn(
                _command(release, tree),
                directory=tree,
                environment=app_environment(tree, config, facts),
                output=output,
            )
        except OSError as reason:
            self._note_end(instance, steady=False)
            raise NotHealthy(f"{_name(instance)} could not be started: {reason}") from reason
        self._keep(instance, process)
        await self._record(instance.id, process.id)
        log.info("instance.started", instance=instance.server, app=release.app, pid=process.id.pid, port=instance.port)

    async def adopt(self, instances: Iterable[Instance]) -> None:
        """Find the processes of instances that a daemon before this one started."""
        for instance in instances:
            process = Process.adopt(instance.process) if instance.process else None
            if process is None and instance.process is None:
                identity = processes.find(_MARK, self._mark(instance))
                process = Process.adopt(identity) if identity else None
                if process:
                    await self._record(instance.id, process.id)
            if process:
                self._keep(instance, process)
                log.info("instance.adopted", instance=instance.server, pid=process.id.pid)

    async def wait_until_healthy(self, instance: Instance, release: Release) -> None:
        """Return when the instance is healthy. Raises NotHealthy with the reason and the last log lines."""
        assert release.manifest is not None
        process = self._processes[instance.id]
        probes = Probes(port=instance.port, path=release.manifest.health_path, host=f"{release.app}.{self._domain}")
        healthy = asyncio.ensure_future(probes.until_healthy())
        ended = asyncio.ensure_future(process.wait())
        try:
            timeout = release.manifest.health_timeout_seconds
            await asyncio.wait({healthy, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                what = f"{_name(instance)} {ended.result()} before it was healthy"
            elif healthy.done():
                healthy.result()
                return
            else:
                what = f"{_name(instance)} was not healthy within {timeout:g} s: {probes.last}"
        finally:
            for waiting in (healthy, ended):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
        raise NotHealthy(what + _last_lines(self._workspace.instance_log(release, instance)))

    def stop(self, instance: Instance) -> None:
        """Begin to stop an instance: SIGTERM to its process group, after 30 s SIGKILL. Does not wait."""
        process = self._processes.get(instance.id)
        if process and process.running and instance.id not in self._stopping:
            self._ending.add(instance.id)
            self._stopping[instance.id] = asyncio.ensure_future(self._stop(instance, process))

    async def stop_all(self, grace_seconds: float) -> None:
        """Stop every instance and wait for it."""
        running = {number: process for number, process in self._processes.items() if process.running}
        self._ending |= running.keys()
        await asyncio.gather(*(process.stop(grace_seconds) for process in running.values()))

    def abandon(self) -> None:
        """Leave all instances to themselves, running."""
        for task in (*self._watches, *self._stopping.values()):
            task.cancel()
        for process in self._processes.values():
            process.forget()

    def _mark(self, instance: Instance) -> str:
        return f"{self._workspace.root}:{instance.id}"

    def _keep(self, instance: Instance, process: Process) -> None:
        self._processes[instance.id] = process
        self._started_at[instance.id] = self._clock()
        watch = asyncio.ensure_future(self._watch(instance, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, instance: Instance, process: Process) -> None:
        ending = await process.wait()
        steady = self._clock() - self._started_at[instance.id] >= STEADY_AFTER
        restarts = self._note_end(instance, steady=steady)
        if instance.id in self._ending:
            log.info("instance.stopped", instance=instance.server, ending=str(ending))
        else:
            log.warning("instance.ended", instance=instance.server, ending=str(ending), restarts=restarts)
        self.on_exit()

    def _note_end(self, instance: Instance, *, steady: bool) -> int:
        """Note that an instance ended, or could not even begin; return how often it was started again before that."""
        before = self.exits.get(instance.id)
        restarts = 0 if before is None or steady else before.restarts + 1
        self.exits[instance.id] = Exit(at=self._clock(), restarts=restarts)
        return restarts

    async def _stop(self, instance: Instance, process: Process) -> None:
        try:
            await process.stop(_STOP_GRACE_SECONDS)
        finally:
            self._stopping.pop(instance.id, None)


def _command(release: Release, tree: Path) -> list[str]:
    assert release.manifest is not None
    if release.manifest.static is not None:
        return [sys.executable, "-m", "balancer.runner.static_site", str(tree / release.manifest.static)]
    assert release.manifest.web is not None
    return ["/bin/sh", "-c", release.manifest.web]


def _name(instance: Instance) -> str:
    return f"the instance web.{instance.index}"


def _last_lines(path: Path) -> str:
    """Return the end of a log for a message, or that there is none."""
    try:
        text = path.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        text = ""
    lines = text.splitlines()[-_SHOWN_LINES:]
    if not lines:
        return "; it printed nothing"
    return "; the last lines of its log:\n" + "\n".join(f"       {line}" for line in lines)
