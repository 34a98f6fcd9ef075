"""Probing for life: live web instances are asked again and again whether they still answer.

Invariants:
    * One that is silent three times in a row gets no new requests before its process is stopped; then it is started
      again like one that crashed, with back-off, as the same instance on the same port.
    * One that was unhealthy is healthy again after two good answers in a row.
    * A process that has just begun is not judged before it has answered once, or its health timeout is over.
    * No more than so many are asked in a second: where there are many instances, each is asked less often.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from balancer import logs
from balancer.domain.manifest import WEB
from balancer.domain.release import Instance, InstanceState, ProcessId, Release, ReleaseState
from balancer.domain.snapshot import Snapshot
from balancer.errors import BalancerError, IllegalTransition
from balancer.services.interfaces import Supervisor
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry

log = logs.named("probing")
_SILENCES, _ANSWERS = 3, 2
# 1 s: how often one that is unhealthy is asked, so that it serves again soon.
_SOON_SECONDS = 1.0
# 10: one of a silent instance waits 5 s.
_AT_ONCE = 10
# 50 a second: a probe is up to 0.6 ms of processor time, so all of them take 3 % of a core, however many instances.
_PER_SECOND = 50


@dataclass(slots=True)
class _Life:
    """What is known of the process that an instance is now."""

    process: ProcessId
    judged_from: float
    """When it may be judged at the latest, if it never answers."""
    next_at: float
    silences: int = 0
    answers: int = 0
    is_known: bool = False
    """Whether it has ever answered."""
    being_asked: bool = False


class Prober:
    """Asks the instances of live releases."""

    def __init__(
        self, registry: Registry, supervisor: Supervisor, reconciler: Reconciler, *, every_seconds: float
    ) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._reconciler = reconciler
        self._every_seconds = every_seconds
        self._lives: dict[int, _Life] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._judged: tuple[Snapshot, tuple[tuple[Instance, Release, ProcessId], ...]] = Snapshot(), ()
        """Whom a snapshot says to ask."""
        self._well_seconds, self._unwell_seconds = every_seconds, min(_SOON_SECONDS, every_seconds)
        """How often those that are healthy are asked, and those that are not."""

    async def run(self) -> None:
        """Ask all that are due, again and again; until cancelled."""
        try:
            while True:
                try:
                    await self._round()
                except BalancerError as reason:
                    log.warning("probing.blind", reason=str(reason))
                await asyncio.sleep(min(_SOON_SECONDS, self._every_seconds))
        finally:
            for task in self._asking:
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)

    async def _round(self) -> None:
        snapshot = await self._registry.snapshot()
        if snapshot is not self._judged[0]:
            self._judged = snapshot, tuple(_to_ask(snapshot))
            self._pace()
        running, now = self._supervisor.running() - self._supervisor.ending(), time.monotonic()
        lives = {}
        for instance, release, process in self._judged[1]:
            life = lives[instance.id] = self._life(instance, process, release)
            if now >= life.next_at and not life.being_asked and instance.id in running:
                life.being_asked = True
                task = asyncio.create_task(self._ask(instance, release, life))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        self._lives = lives

    def _pace(self) -> None:
        """Say how often who is asked, so that it is not too often for all of them together."""
        unwell = sum(1 for instance, _, _ in self._judged[1] if instance.state is InstanceState.UNHEALTHY)
        well = len(self._judged[1]) - unwell
        self._well_seconds = max(self._every_seconds, well / _PER_SECOND)
        self._unwell_seconds = max(min(_SOON_SECONDS, self._every_seconds), unwell / _PER_SECOND)

    def _life(self, instance: Instance, process: ProcessId, release: Release) -> _Life:
        life = self._lives.get(instance.id)
        if life and life.process == process:
            return life
        assert release.manifest is not None
        now = time.monotonic()
        timeout = release.manifest.health_timeout_seconds
        # Those that were there when we began are spread over the time, not asked all at once again and again.
        spread = random.uniform(0, self._soon(instance))  # noqa: S311 - nothing secret
        # One that we have never seen is as healthy as the registry says; a process after another begins anew.
        is_known = life is None and instance.state is InstanceState.HEALTHY
        return _Life(process=process, judged_from=now + timeout, next_at=now + spread, is_known=is_known)

    def _soon(self, instance: Instance, *, silent: bool = False) -> float:
        """Return in how many seconds an instance is asked (again); one that was silent not less often than we are told.

        Else it would take minutes, where there are many, until one that hangs is found.
        """
        if instance.state is not InstanceState.HEALTHY:
            return self._unwell_seconds
        return self._every_seconds if silent else self._well_seconds

    async def _ask(self, instance: Instance, release: Release, life: _Life) -> None:
        try:
            async with self._places:
                host, seen = await self._supervisor.probe(instance, release)
            if host is None:
                await self._note_silence(instance, release, life, seen)
            else:
                await self._note_answer(instance, release, life, host)
        except IllegalTransition:  # it drains since we asked: whoever let it looks after it
            pass
        except BalancerError as reason:
            log.warning("probing.blind", reason=str(reason))
        except Exception as error:  # noqa: BLE001 - the others must go on being asked, whatever fails with one
            log.error("probing.broke", error=error)
        finally:
            life.next_at = time.monotonic() + self._soon(instance, silent=life.silences > 0)
            life.being_asked = False

    async def _note_answer(self, instance: Instance, release: Release, life: _Life, host: str) -> None:
        life.is_known, life.silences = True, 0
        life.answers += 1
        if host != instance.host:
            await self._registry.record_host(instance.id, host)
            self._reconciler.wake()
        if instance.state is InstanceState.UNHEALTHY and life.answers >= _ANSWERS:
            await self._registry.move_instance(instance.id, InstanceState.HEALTHY, before=instance.state)
            log.info("instance.healthy", instance=instance.server, app=release.app, branch=release.branch)
            self._reconciler.wake()

    async def _note_silence(self, instance: Instance, release: Release, life: _Life, seen: str) -> None:
        life.answers = 0
        if not life.is_known and time.monotonic() < life.judged_from:
            return
        life.silences += 1
        if life.silences < _SILENCES:
            return
        await self._registry.move_instance(instance.id, InstanceState.UNHEALTHY, before=instance.state)
        try:
            await self._reconciler.converge()  # no new requests from here on, unless nobody else could take them
        finally:
            log.warning("instance.silent", instance=instance.server, app=release.app, branch=release.branch, seen=seen)
            self._supervisor.stop(instance)


def _to_ask(snapshot: Snapshot) -> Iterator[tuple[Instance, Release, ProcessId]]:
    """Give the instances that are judged by how they answer, each with its release and the process that it is."""
    for release in snapshot.releases:
        if release.state is ReleaseState.LIVE:
            for instance in snapshot.instances_of(release):
                judged = instance.type == WEB and instance.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
                if judged and instance.process:
                    yield instance, release, instance.process
