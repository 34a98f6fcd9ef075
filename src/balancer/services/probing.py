"""Probing for life: live web instances are asked again and again whether they still answer.

Invariants:
    * One that is silent three times in a row gets no new requests before its process is stopped; then it is started
      again like one that crashed, with back-off, as the same instance on the same port.
    * One that was unhealthy is healthy again after two good answers in a row.
    * A process that has just begun is not judged before it has answered once, or its health timeout is over.
"""

import asyncio
import random
import time
from dataclasses import dataclass

from balancer import logs
from balancer.domain.manifest import WEB
from balancer.domain.release import Instance, InstanceState, ProcessId, Release, ReleaseState
from balancer.errors import BalancerError, IllegalTransition
from balancer.services.interfaces import Supervisor
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry

log = logs.named("probing")
_SILENCES, _ANSWERS = 3, 2
# 1 s: how often one that is unhealthy is asked, so that it serves again soon.
_SOON_SECONDS = 1.0
# 10: a probe costs 4 ms of processor time, and one of a silent instance waits 5 s.
_AT_ONCE = 10


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
        running = self._supervisor.running() - self._supervisor.ending()
        lives = {}
        for release in snapshot.releases:
            if release.state is not ReleaseState.LIVE:
                continue
            for instance in snapshot.instances_of(release):
                judged = instance.type == WEB and instance.state in (InstanceState.HEALTHY, InstanceState.UNHEALTHY)
                if judged and instance.process:
                    life = lives[instance.id] = self._life(instance, instance.process, release)
                    if instance.id in running and time.monotonic() >= life.next_at and not life.being_asked:
                        life.being_asked = True
                        task = asyncio.create_task(self._ask(instance, release, life))
                        self._asking.add(task)
                        task.add_done_callback(self._asking.discard)
        self._lives = lives

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

    def _soon(self, instance: Instance) -> float:
        """Return in how many seconds an instance is asked (again)."""
        is_well = instance.state is InstanceState.HEALTHY
        return self._every_seconds if is_well else min(_SOON_SECONDS, self._every_seconds)

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
            life.next_at = time.monotonic() + self._soon(instance)
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
