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
from pathlib import Path

from balancer import logs, processes
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.manifest import WEB
from balancer.domain.plan import STEADY_AFTER, Exit
from balancer.domain.release import Instance, ProcessId, Release
from balancer.domain.usage import Usage
from balancer.errors import NotHealthy, PortStolen
from balancer.processes import Process
from balancer.runner.diagnosis import before_healthy, elsewhere, last_lines
from balancer.runner.environment import app_environment
from balancer.runner.health import Probes
from balancer.runner.listeners import listening, sockets_of
from balancer.runner.workspace import Workspace

log = logs.named("supervisor")
_MARK = "BALANCER_INSTANCE"
# 30 s: what Heroku, Docker Swarm's users and kamal give; most frameworks finish their requests within it.
STOP_GRACE_SECONDS = 30.0
# 1 s: a worker has nothing to ask; one that cannot begin has ended by then.
_SETTLED_SECONDS = 1.0


class Supervisor:
    """Keeps the processes of one data directory."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        domain: str,
        clock: Clock,
        config_of: Callable[[int], Awaitable[Mapping[str, str]]],
        record: Callable[[int, ProcessId], Awaitable[None]],
        stop_grace_seconds: float = STOP_GRACE_SECONDS,
    ) -> None:
        self._stop_grace_seconds = stop_grace_seconds
        self._workspace = workspace
        self._domain = domain
        self._clock = clock
        self._config_of = config_of
        self._record = record
        self._processes: dict[int, Process] = {}
        self._alive: set[int] = set()
        self._logs: dict[int, Path] = {}
        self._probes: dict[int, Probes] = {}
        """Those for life; of the process that each instance is now."""
        self._started_at: dict[int, float] = {}
        """In ticks of the clock."""
        self._stopping: dict[int, asyncio.Task[None]] = {}
        self._ending: set[int] = set()
        """Instances that were asked to end."""
        self._watches: dict[int, asyncio.Task[None]] = {}
        self.exits: dict[int, Exit] = {}
        """The latest unasked-for end of each instance."""
        self.on_exit: Callable[[], None] = lambda: None
        """Called whenever the process of an instance has ended."""

    def running(self) -> frozenset[int]:
        """Return the instances whose process is there, or something that it left, or whose end is not yet noted."""
        return frozenset(self._alive)

    def has_been_steady(self, number: int) -> bool:
        """Tell whether the process that an instance is now has run for so long that it is taken for well."""
        return number in self._alive and self._is_steady(number)

    def logs(self) -> frozenset[Path]:
        """Return the logs of the instances that were started here and run."""
        return frozenset(path for number, path in self._logs.items() if number in self._alive)

    def ending(self) -> frozenset[int]:
        """Return the instances that were asked to end, whether they have or not."""
        return frozenset(self._ending)

    def usage(self) -> Mapping[int, Usage]:
        """Return what each running instance uses. Some 10 ms: for a thread of its own."""
        # Others end meanwhile, in the thread of the loop: who is gone is not asked for.
        found = ((number, self._processes.get(number)) for number in tuple(self._alive))
        leaders = {process.id: number for number, process in found if process is not None}
        return {leaders[leader]: used for leader, used in processes.usage(tuple(leaders)).items()}

    async def start(self, instance: Instance, release: Release) -> None:
        """Start the process of an instance and record it. Raises NotHealthy where it cannot even begin."""
        tree = self._workspace.tree(release)
        config = await self._config_of(release.id)
        facts = {"PORT": str(instance.port), _MARK: self._mark(instance)}
        output = self._workspace.instance_log(release, instance)
        output.parent.mkdir(parents=True, exist_ok=True)
        if instance.id in self.running():  # somebody else was quicker, while we waited for the config
            return
        try:
            process = Process.spawn(
                _command(instance, release, tree),
                directory=tree,
                environment=app_environment(tree, release, config, facts),
                output=output,
                mark=(_MARK, self._mark(instance)),
            )
        except OSError as reason:
            self._note_end(instance, steady=False, ending=f"could not be started: {reason}")
            raise NotHealthy(f"{_name(instance)} could not be started: {reason}") from reason
        passed(CrashPoint.PROCESS_SPAWNED)
        self._logs[instance.id] = output
        self._keep(instance, process)
        await self._record(instance.id, process.id)
        passed(CrashPoint.PROCESS_RECORDED)
        log.info("instance.started", instance=instance.server, app=release.app, pid=process.id.pid, port=instance.port)

    async def adopt(self, instances: Iterable[Instance]) -> None:
        """Find the processes of instances that a daemon before this one started; end what a dead one has left."""
        for instance in instances:
            mark = (_MARK, self._mark(instance))
            process = Process.adopt(instance.process, mark) if instance.process else None
            if process is None and instance.process is None:
                identity = processes.find(*mark)
                process = Process.adopt(identity, mark) if identity else None
                if process:
                    await self._record(instance.id, process.id)
            if process is None:
                left = await asyncio.to_thread(processes.kill_family, instance.process, mark)
                log.info("instance.gone", instance=instance.server, left=left)
            else:
                self._keep(instance, process)
                log.info("instance.adopted", instance=instance.server, pid=process.id.pid)

    async def wait_until_healthy(self, instance: Instance, release: Release) -> str:
        """Return the address on which the instance is healthy.

        Raises NotHealthy with the reason and the last log lines, PortStolen where somebody else has the port.
        """
        assert release.manifest is not None
        process = self._processes[instance.id]
        probes = self._new_probes(instance, release, for_life=False)
        healthy = asyncio.ensure_future(probes.until_healthy() if instance.type == WEB else _settled(instance))
        ended = asyncio.ensure_future(process.wait())
        try:
            timeout = release.manifest.health_timeout_seconds
            await asyncio.wait({healthy, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if process.bereft:  # what it left may answer, and is about to be killed
                await ended
            if ended.done():
                if instance.type == WEB and any(listening(instance.port)):
                    raise PortStolen(instance.port)
                what = f"{_name(instance)} {before_healthy(ended.result())}"
            elif healthy.done():
                return healthy.result()
            else:
                last = await asyncio.to_thread(elsewhere, instance, process) if instance.type == WEB else None
                what = f"{_name(instance)} was not healthy within {timeout:g} s: {last or probes.last}"
        finally:
            for waiting in (healthy, ended):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, PortStolen):
                    await waiting
        raise NotHealthy(what + last_lines(self._workspace.instance_log(release, instance)))

    async def probe(self, instance: Instance, release: Release) -> tuple[str | None, str]:
        """Ask a running instance whether it lives: return the address that answered well, and what was seen."""
        if instance.id not in self._probes:
            self._probes[instance.id] = self._new_probes(instance, release, for_life=True)
        probes = self._probes[instance.id]
        return await probes.once(), probes.last

    def _new_probes(self, instance: Instance, release: Release, *, for_life: bool) -> Probes:
        """Return what asks the process that an instance is now."""
        assert release.manifest is not None
        process = self._processes[instance.id]
        return Probes(
            port=instance.port,
            path=release.manifest.health_path,
            host=f"{release.app}.{self._domain}",
            sockets=lambda: sockets_of(member.pid for member in process.family()),
            for_life=for_life,
        )

    def is_robbed(self, instance: Instance) -> bool:
        """Tell whether somebody else listens on the port of an instance that does not run."""
        return instance.type == WEB and instance.id not in self._alive and any(listening(instance.port))

    async def end(self, instance: Instance) -> None:
        """Stop an instance and wait until all of it has ended."""
        self.stop(instance)
        if watch := self._watches.get(instance.id):
            await asyncio.wait({watch})

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
        if self._watches:
            await asyncio.wait(self._watches.values())

    def abandon(self) -> None:
        """Leave all instances to themselves, running."""
        for task in (*self._watches.values(), *self._stopping.values()):
            task.cancel()
        for process in self._processes.values():
            process.forget()

    def _is_steady(self, number: int) -> bool:
        return self._clock.ticks() - self._started_at[number] >= STEADY_AFTER.total_seconds()

    def _mark(self, instance: Instance) -> str:
        return f"{self._workspace.root}:{instance.id}"

    def _keep(self, instance: Instance, process: Process) -> None:
        self._processes[instance.id] = process
        self._alive.add(instance.id)
        self._ending.discard(instance.id)
        self._probes.pop(instance.id, None)
        self._started_at[instance.id] = self._clock.ticks()
        self._watches[instance.id] = asyncio.ensure_future(self._watch(instance, process))

    async def _watch(self, instance: Instance, process: Process) -> None:
        ending = await process.wait()
        steady = self._is_steady(instance.id)
        restarts = self._note_end(instance, steady=steady, ending=str(ending))
        self._alive.discard(instance.id)
        if instance.id in self._ending:
            log.info("instance.stopped", instance=instance.server, ending=str(ending))
        else:
            log.warning("instance.ended", instance=instance.server, ending=str(ending), restarts=restarts)
        self.on_exit()

    def _note_end(self, instance: Instance, *, steady: bool, ending: str) -> int:
        """Note that an instance ended, or could not even begin; return how often it was started again before that."""
        before = self.exits.get(instance.id)
        restarts = 0 if before is None or steady else before.restarts + 1
        self.exits[instance.id] = Exit(at=self._clock(), restarts=restarts, ending=ending)
        return restarts

    async def _stop(self, instance: Instance, process: Process) -> None:
        try:
            await process.stop(self._stop_grace_seconds)
        finally:
            self._stopping.pop(instance.id, None)


def _command(instance: Instance, release: Release, tree: Path) -> list[str]:
    assert release.manifest is not None
    if instance.type == WEB and release.manifest.static is not None:
        return [sys.executable, "-m", "balancer.runner.static_site", str(tree / release.manifest.static)]
    return ["/bin/sh", "-c", release.manifest.processes[instance.type]]


async def _settled(instance: Instance) -> str:
    """Return after a while: that is all that can be asked of what answers no requests."""
    await asyncio.sleep(_SETTLED_SECONDS)
    return instance.host


def _name(instance: Instance) -> str:
    return f"the instance {instance.label}"
