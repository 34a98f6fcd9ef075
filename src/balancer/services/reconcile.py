"""Reconciling: what is follows what should be.

Invariants:
    * One pass at a time; a pass that fails changes nothing for the next, which begins from what is there.
    * The proxy follows the registry before any process is stopped.
    * No visitor is led to a stranger for longer than an instance waits for its next start.
    * Recovery after a crash is the first pass; there is no other.
"""

import asyncio
import contextlib
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import Domain
from balancer.domain.manifest import WEB
from balancer.domain.notice import crash_loops
from balancer.domain.plan import (
    CRASH_LOOP_ENDS,
    STANDBY,
    AbandonRelease,
    Action,
    DrainInstance,
    MarkStopped,
    Observed,
    RetireRelease,
    StartInstance,
    StopInstance,
    plan,
)
from balancer.domain.release import LEAVING, Instance, InstanceState, Release, ReleaseState
from balancer.domain.routing import RouteTables
from balancer.domain.snapshot import Snapshot
from balancer.domain.traffic import Traffic
from balancer.errors import BalancerError
from balancer.services.interfaces import TO_NOBODY, Proxy, Supervisor, Teller
from balancer.services.launch import Launcher
from balancer.services.registry import Registry
from balancer.services.stamps import Stamps

log = logs.named("reconcile")
_UNFINISHED = {ReleaseState.BUILDING, ReleaseState.STARTING}
# While something leaves, the first look is after 200 ms; else only when something happens, or is to be started again.
_BUSY_PAUSE_SECONDS, _IDLE_PAUSE_SECONDS = 0.2, 30.0
# A tenth of the time it has taken, 5 s at most: a websocket that holds a drain up for minutes costs next to nothing.
_PATIENCE, _LEAVING_PAUSE_SECONDS = 0.1, 5.0
# 1 s after a failure: HAProxy, if it died, is back by then, and the log is not flooded.
_RETRY_PAUSE_SECONDS = 1.0
# Stopping marks instances, marking retires releases: three passes settle everything that needs no waiting.
_PASSES = 4
# What changes the registry, so that another pass is due.
_CHANGING = DrainInstance | MarkStopped | AbandonRelease | RetireRelease


class Reconciler:
    """Brings the processes and the proxy to what the registry says, and keeps them there."""

    def __init__(
        self,
        registry: Registry,
        supervisor: Supervisor,
        proxy: Proxy,
        stamps: Stamps,
        *,
        launcher: Launcher,
        clock: Clock,
        domain: Domain,
        standby: timedelta = STANDBY,
        teller: Teller = TO_NOBODY,
    ) -> None:
        self._teller = teller
        self._registry = registry
        self._supervisor = supervisor
        self._proxy = proxy
        self._stamps = stamps
        self._launcher = launcher
        self._clock = clock
        self._tables = RouteTables(domain)
        self._standby = standby
        self._deserted: dict[int, str] = {}
        """Unfinished releases that nobody deploys, and why."""
        self._complaint = ""
        """What the passes fail of now, so that it is said once."""
        self._told_looping: AbstractSet[int] = frozenset()
        self._converging = asyncio.Lock()
        """Held for a whole pass."""
        self._woken = asyncio.Event()
        self._due = False
        """Whether a pass is to be made, and not only said anew when the next one is."""

    async def take_over(self) -> Snapshot:
        """Note which releases a daemon before this one left unfinished, and return what should be; once, at start.

        Instances that it was adding to what is live are drained: nobody waits any more for them all to be healthy.
        """
        snapshot = await self._registry.snapshot()
        for release in snapshot.releases:
            for instance in snapshot.instances_of(release):
                if release.state is ReleaseState.LIVE and instance.state is InstanceState.STARTING:
                    await self._registry.move_instance(instance.id, InstanceState.DRAINING)
        snapshot = await self._registry.snapshot()
        stopped = "the platform was stopped while it deployed this release"
        self._deserted = {release.id: stopped for release in snapshot.releases if release.state in _UNFINISHED}
        return snapshot

    def desert(self, release: Release, why: str) -> None:
        """Fail a release that nobody deploys any more as soon as that can be written down."""
        self._deserted[release.id] = why
        self.wake()

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
        self._due = True
        self._woken.set()

    async def converge(self) -> None:
        """Make the proxy and the processes follow the registry. Raises ProxyFailed."""
        await self._pass()
        self._woken.set()  # there may be something now that has to be looked at sooner

    async def _pass(self) -> None:
        async with self._converging:
            for _ in range(_PASSES):
                snapshot = self._stamps.mended(await self._registry.snapshot())
                now = self._clock()  # by the clock that the stamps are mended for: it may be set while we wait
                await self._proxy.apply(self._tables.of(snapshot))
                await self._tell_of_crash_loops(snapshot)
                actions = plan(snapshot, await self._observe(snapshot, now), self._standby)
                for action in actions:
                    await self._apply(action)
                if not any(isinstance(action, _CHANGING) for action in actions):
                    break

    async def _tell_of_crash_loops(self, snapshot: Snapshot) -> None:
        """Say once of each instance that it ends again and again."""
        exits = dict(self._supervisor.exits)
        looping = {number for number, end in exits.items() if end.ends >= CRASH_LOOP_ENDS}
        for release in snapshot.releases if looping - self._told_looping else ():
            if release.state is ReleaseState.LIVE:
                for instance in snapshot.instances_of(release):
                    if instance.id in looping - self._told_looping:
                        end = exits[instance.id]
                        passed(CrashPoint.CRASH_LOOP_SEEN)
                        log.error(
                            "instance.crash.loop",
                            instance=instance.server,
                            app=release.app,
                            branch=release.branch,
                            ends=end.ends,
                            ending=end.ending,
                        )
                        await self._teller.tell(crash_loops(release, instance.server, end.ends, end.ending))
        self._told_looping = looping

    async def reclaim(
        self,
        release: Release,
        launcher: Launcher,
        *,
        with_config: bool = False,
        failed: tuple[Release, str] | None = None,
    ) -> tuple[Release, tuple[Instance, ...]] | None:
        """Make a draining release live again, and return it with the instances that were started for it.

        Its web instances go on; its other processes have ended at the switch and are started again, and nobody waits
        for them here. None where a web instance has ended or been asked to: then nothing has changed.
        """
        async with self._converging:  # no pass stops what is started before it is live
            web = [each for each in (await self._registry.snapshot()).instances_of(release) if each.type == WEB]
            serving = self._supervisor.running() - self._supervisor.ending()
            asked = await self._registry.formation(release.app)
            wanted = release.manifest.counts(asked) if release.manifest else {}
            if len(web) != wanted.pop(WEB, 0) or not serving.issuperset(each.id for each in web):
                return None
            started = await launcher.begin(release, wanted)
            return await self._registry.activate(release.id, with_config=with_config, failed=failed), started

    async def run(self) -> None:
        """Converge whenever something happened; until cancelled."""
        while True:
            try:
                pause = await self._pause()
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    self._due = True
                self._woken.clear()
                if self._due:
                    self._due = False
                    await self._pass()
            except BalancerError as reason:
                if str(reason) != self._complaint:
                    log.error("reconcile.failed", reason=str(reason))
                self._complaint = str(reason)
            except Exception as error:  # noqa: BLE001 - what should be must go on being brought about, whatever fails
                log.error("reconcile.broke", error=error)
            else:
                self._complaint = ""
                continue
            await asyncio.sleep(_RETRY_PAUSE_SECONDS)
            self.wake()

    async def _pause(self) -> float:
        snapshot = self._stamps.mended(await self._registry.snapshot())
        live = {release.id for release in snapshot.releases if release.state is ReleaseState.LIVE}
        running = self._supervisor.running()
        pauses = [
            self._wait(instance, running=instance.id in running)
            if instance.release_id in live and instance.state not in LEAVING
            else self._patience(instance)
            for instance in snapshot.instances
        ]
        return min(pauses, default=_IDLE_PAUSE_SECONDS)

    def _wait(self, instance: Instance, *, running: bool) -> float:
        """Return when an instance that is to run has to be looked at again, in seconds."""
        if running:
            return _IDLE_PAUSE_SECONDS
        end = self._supervisor.exits.get(instance.id)
        seconds = (end.next_start_at - self._clock()).total_seconds() if end else 0.0
        return min(max(seconds, _BUSY_PAUSE_SECONDS), _IDLE_PAUSE_SECONDS)

    def _patience(self, instance: Instance) -> float:
        """Return when an instance that leaves, or is not live yet, has to be looked at again, in seconds."""
        since = instance.draining_since or instance.standby_since
        lasted = (self._clock() - since).total_seconds() if since else 0.0
        return min(max(lasted * _PATIENCE, _BUSY_PAUSE_SECONDS), _LEAVING_PAUSE_SECONDS)

    async def _observe(self, snapshot: Snapshot, now: datetime) -> Observed:
        draining = {i.server: i.id for i in snapshot.instances if i.state is InstanceState.DRAINING}
        traffic = await self._proxy.traffic() if draining else Traffic()
        return Observed(
            now=now,
            running=self._supervisor.running(),
            busy=frozenset(draining[server] for server in traffic.busy & draining.keys()),
            reachable=frozenset(draining[server] for server in traffic.reachable & draining.keys()),
            deserted=frozenset(self._deserted),
            exits=dict(self._supervisor.exits),
        )

    async def _apply(self, action: Action) -> None:
        match action:
            case StartInstance(instance, release):
                try:
                    await self._start(instance, release)
                except BalancerError as reason:
                    log.error("instance.not.started", instance=instance.server, reason=str(reason))
            case DrainInstance(instance):
                await self._registry.move_instance(instance.id, InstanceState.DRAINING)
            case StopInstance(instance):
                self._supervisor.stop(instance)
                passed(CrashPoint.INSTANCE_STOPPING)
            case MarkStopped(instance):
                await self._registry.move_instance(instance.id, InstanceState.STOPPED)
                passed(CrashPoint.INSTANCE_STOPPED)
            case RetireRelease(release):
                await self._registry.retire_release(release.id)
                passed(CrashPoint.RELEASE_RETIRED)
                log.info("release.retired", app=release.app, branch=release.branch, release=release.number)
            case AbandonRelease(release):
                await self._registry.fail_release(release.id, self._deserted[release.id])
                log.warning("release.abandoned", app=release.app, branch=release.branch, release=release.number)

    async def _start(self, instance: Instance, release: Release) -> None:
        """Start an instance again, or another one in its place where somebody took its port while it was down."""
        if self._supervisor.is_robbed(instance):
            log.warning("instance.port.stolen", instance=instance.server, app=release.app, port=instance.port)
            await self._launcher.replace(instance)
            self.wake()  # the next pass starts it; until then visitors are led to whoever has the port
            return
        log.warning("instance.restarting", instance=instance.server, app=release.app, branch=release.branch)
        await self._supervisor.start(instance, release)
