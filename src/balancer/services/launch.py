"""Launches: instances of a release are started, and waited for until they are healthy.

Invariants:
    * A port is leased in the registry before anything is started on it, and by one launch at a time.
    * A launch that fails leaves what it started to the reconciler, which stops it with its release.
    * An instance whose port somebody else took is no instance: another one is opened in its place.
    * What is launched stays starting, and gets no visitors, until a transaction of its own makes it serve.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.manifest import ProcessType
from balancer.domain.release import Instance, InstanceState, Release
from balancer.errors import PortStolen
from balancer.services.interfaces import Ports, Supervisor, Tell, to_nobody
from balancer.services.registry import Registry

log = logs.named("launch")
# 3: to lose a race for one port is bad luck; to lose four says that the range is somebody else's.
_OTHER_PORTS = 3


class Launcher:
    """Starts instances."""

    def __init__(self, registry: Registry, supervisor: Supervisor, ports: Ports) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._ports = ports
        self._leasing = asyncio.Lock()
        """Held from the choice of a port until it is leased in the registry."""

    async def launch(self, release: Release, tell: Tell) -> tuple[Instance, ...]:
        """Start all instances that a release is to have, and wait. Raises NotHealthy, PortsExhausted."""
        assert release.manifest is not None
        counts = release.manifest.counts(await self._registry.formation(release.app))
        tell(f"-----> Starting release {release.number}: {listed(counts)}")
        began = time.monotonic()
        launched = await self.add(release, counts, tell)
        tell(f"       healthy after {time.monotonic() - began:.1f} s")
        return launched

    async def add(
        self, release: Release, counts: Mapping[ProcessType, int], tell: Tell = to_nobody
    ) -> tuple[Instance, ...]:
        """Start so many more instances of each process type, and wait; until their caller moves them they are starting.

        Raises NotHealthy, PortsExhausted.
        """
        return await self.wait(await self.begin(release, counts), release, tell)

    async def begin(self, release: Release, counts: Mapping[ProcessType, int]) -> tuple[Instance, ...]:
        """Start so many more instances of each process type. Raises NotHealthy, PortsExhausted."""
        used = {(i.type, i.index) for i in (await self._registry.snapshot()).instances_of(release)}
        instances = []
        for process, count in counts.items():
            free = (index for index in range(1, len(used) + count + 1) if (process, index) not in used)
            instances += [await self._open(release, process, next(free)) for _ in range(count)]
        for instance in instances:
            await self._supervisor.start(instance, release)
        return tuple(instances)

    async def wait(self, instances: Iterable[Instance], release: Release, tell: Tell) -> tuple[Instance, ...]:
        """Return these, or what took their place, when all are healthy. Raises NotHealthy, PortsExhausted."""
        try:
            async with asyncio.TaskGroup() as waits:
                launches = [waits.create_task(self._bring_up(instance, release, tell)) for instance in instances]
        except BaseExceptionGroup as failures:  # the first that failed has ended the other waits
            raise failures.exceptions[0] from None
        return tuple(launch.result() for launch in launches)

    async def replace(self, instance: Instance) -> None:
        """Open an instance on another port in the place of one that does not run, and whose port somebody else took.

        Raises PortsExhausted, IllegalTransition.
        """
        async with self._leasing:
            port = self._ports.choose(await self._registry.leased_ports())
            await self._registry.replace_instance(instance.id, port)

    async def _open(self, release: Release, process: ProcessType, index: int) -> Instance:
        async with self._leasing:
            port = self._ports.choose(await self._registry.leased_ports())
            instance = await self._registry.open_instance(release.id, process, index, port)
        passed(CrashPoint.INSTANCE_OPENED)
        return instance

    async def _bring_up(self, instance: Instance, release: Release, tell: Tell) -> Instance:
        """Wait until a started instance is healthy, and return it, or the one that took its place."""
        for tried in itertools.count():
            try:
                host = await self._supervisor.wait_until_healthy(instance, release)
                break
            except PortStolen as reason:
                await self._supervisor.end(instance)
                if tried >= _OTHER_PORTS:
                    raise
                await self._registry.move_instance(instance.id, InstanceState.STOPPED)
                log.warning("instance.port.stolen", instance=instance.server, app=release.app, port=instance.port)
                instance = await self._open(release, instance.type, instance.index)
                tell(f"       {instance.label}: {reason}; trying {instance.port} instead")
                await self._supervisor.start(instance, release)
        if host != instance.host:
            await self._registry.record_host(instance.id, host)
        passed(CrashPoint.INSTANCE_HEALTHY)
        return instance


def listed(counts: Mapping[ProcessType, int]) -> str:
    """Return how many of each process, for people."""
    return ", ".join(f"{process} × {count}" if count != 1 else process for process, count in counts.items() if count)
