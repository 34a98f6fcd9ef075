"""Reconciling: what is follows what should be.

Invariants:
    * One pass at a time; a pass that fails changes nothing for the next, which begins from what is there.
    * The proxy follows the registry before any process is stopped.
    * Recovery after a crash is the first pass; there is no other.
"""

import asyncio
import contextlib

from balancer import logs
from balancer.domain.app import Domain
from balancer.domain.plan import (
    AbandonRelease,
    Action,
    MarkStopped,
    Observed,
    RetireRelease,
    StartInstance,
    StopInstance,
    plan,
)
from balancer.domain.release import InstanceState, Release, ReleaseState
from balancer.domain.routing import route_table
from balancer.domain.snapshot import Snapshot
from balancer.errors import BalancerError
from balancer.services.interfaces import Clock, Proxy, Registry, Supervisor

log = logs.named("reconcile")
_UNFINISHED = {ReleaseState.BUILDING, ReleaseState.STARTING}
# While something drains or waits to be started again, a look each 200 ms; else only when something happens.
_BUSY_PAUSE_SECONDS, _IDLE_PAUSE_SECONDS = 0.2, 30.0
# 1 s after a failure: HAProxy, if it died, is back by then, and the log is not flooded.
_RETRY_PAUSE_SECONDS = 1.0
# Stopping marks instances, marking retires releases: three passes settle everything that needs no waiting.
_PASSES = 4


class Reconciler:
    """Brings the processes and the proxy to what the registry says, and keeps them there."""

    def __init__(
        self, registry: Registry, supervisor: Supervisor, proxy: Proxy, *, clock: Clock, domain: Domain
    ) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._proxy = proxy
        self._clock = clock
        self._domain = domain
        self._deserted: frozenset[int] = frozenset()
        self._converging = asyncio.Lock()
        """Held for a whole pass."""
        self._woken = asyncio.Event()

    async def take_over(self) -> Snapshot:
        """Note which releases a daemon before this one left unfinished, and return what should be; once, at start."""
        snapshot = await self._registry.snapshot()
        self._deserted = frozenset(release.id for release in snapshot.releases if release.state in _UNFINISHED)
        return snapshot

    async def warm_up(self, seconds: float) -> None:
        """Start the instances that should be there, and give them so long to become healthy.

        For a start from nothing: visitors wait in the queue of the listening socket rather than read a 503.
        """
        snapshot = await self._registry.snapshot()
        observed = Observed(now=self._clock(), running=self._supervisor.running(), exits={})
        starts = [action for action in plan(snapshot, observed) if isinstance(action, StartInstance)]
        for action in starts:
            await self._apply(action)
        healthy = (self._supervisor.wait_until_healthy(start.instance, start.release) for start in starts)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*healthy, return_exceptions=True)

    def wake(self) -> None:
        """Ask for a pass soon; may be called at any time."""
        self._woken.set()

    async def converge(self) -> None:
        """Make the proxy and the processes follow the registry. Raises ProxyFailed."""
        await self._pass()
        self.wake()

    async def _pass(self) -> None:
        async with self._converging:
            for _ in range(_PASSES):
                snapshot = await self._registry.snapshot()
                await self._proxy.apply(route_table(snapshot, self._domain))
                actions = plan(snapshot, await self._observe(snapshot))
                for action in actions:
                    await self._apply(action)
                if not any(isinstance(action, MarkStopped | AbandonRelease | RetireRelease) for action in actions):
                    break

    async def reclaim(self, release: Release) -> Release | None:
        """Make a draining release live again; None where an instance of it has ended or been asked to."""
        async with self._converging:
            instances = (await self._registry.snapshot()).instances_of(release)
            serving = self._supervisor.running() - self._supervisor.ending()
            wanted = release.manifest.instances if release.manifest else 1
            if sum(instance.id in serving for instance in instances) < wanted:
                return None
            return await self._registry.activate(release.id)

    async def run(self) -> None:
        """Converge whenever something happened; until cancelled."""
        while True:
            try:
                pause = await self._pause()
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                self._woken.clear()
                await self._pass()
            except BalancerError as reason:
                log.error("reconcile.failed", reason=str(reason))
            except Exception as error:  # noqa: BLE001 - what should be must go on being brought about, whatever fails
                log.error("reconcile.broke", error=error)
            else:
                continue
            await asyncio.sleep(_RETRY_PAUSE_SECONDS)
            self.wake()

    async def _pause(self) -> float:
        snapshot = await self._registry.snapshot()
        live = {release.id for release in snapshot.releases if release.state is ReleaseState.LIVE}
        running = self._supervisor.running()
        settled = all(instance.release_id in live and instance.id in running for instance in snapshot.instances)
        return _IDLE_PAUSE_SECONDS if settled else _BUSY_PAUSE_SECONDS

    async def _observe(self, snapshot: Snapshot) -> Observed:
        draining = {i.server: i.id for i in snapshot.instances if i.state is InstanceState.DRAINING}
        busy = await self._proxy.busy(tuple(draining))
        return Observed(
            now=self._clock(),
            running=self._supervisor.running(),
            busy=frozenset(draining[server] for server in busy),
            deserted=self._deserted,
            exits=dict(self._supervisor.exits),
        )

    async def _apply(self, action: Action) -> None:
        match action:
            case StartInstance(instance, release):
                log.warning("instance.restarting", instance=instance.server, app=release.app, branch=release.branch)
                try:
                    await self._supervisor.start(instance, release)
                except BalancerError as reason:
                    log.error("instance.not.started", instance=instance.server, reason=str(reason))
            case StopInstance(instance):
                self._supervisor.stop(instance)
            case MarkStopped(instance):
                await self._registry.move_instance(instance.id, InstanceState.STOPPED)
            case RetireRelease(release):
                await self._registry.retire_release(release.id)
                log.info("release.retired", app=release.app, branch=release.branch, release=release.number)
            case AbandonRelease(release):
                await self._registry.fail_release(release.id, "the platform was stopped while it deployed this release")
                log.warning("release.abandoned", app=release.app, branch=release.branch, release=release.number)
