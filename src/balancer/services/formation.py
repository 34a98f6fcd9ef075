"""Formations: how many instances of each process type run, changed while the app serves.

Invariants:
    * All or nothing: when a new instance does not become healthy, the formation, the mode and what serves stay.
    * What is no longer wanted drains only in the transaction in which what takes its place serves.
    * One change of an app at a time, and none while one of its branches is deployed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping

from balancer import logs
from balancer.cancellation import to_its_end
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppMode, AppName, BranchName
from balancer.domain.manifest import INSTANCES_LIMIT, WEB, ProcessType
from balancer.domain.release import LEAVING, Instance, InstanceState, Release
from balancer.domain.snapshot import Snapshot
from balancer.errors import BalancerError, BranchNotFound, Conflict, InvalidInput, ProxyFailed
from balancer.services.interfaces import Tell, to_nobody
from balancer.services.launch import Launcher, listed
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry
from balancer.services.turns import Turns

log = logs.named("formation")
# 100 s: longer than most requests take, and the grace of a stop.
_STOP_LOOKS, _STOP_PAUSE_SECONDS = 1000, 0.1

Counts = Mapping[ProcessType, int]


class Formations:
    """Carries out scale, restart, stop and start, and says what visitors get instead."""

    def __init__(self, registry: Registry, launcher: Launcher, reconciler: Reconciler, turns: Turns) -> None:
        self._registry = registry
        self._launcher = launcher
        self._reconciler = reconciler
        self._turns = turns

    async def of(self, app: AppName) -> dict[ProcessType, int]:
        """Return how many instances of each process type the default branch is to have. Raises AppNotFound."""
        found, asked = await self._registry.app(app), await self._registry.formation(app)
        live = (await self._registry.snapshot()).live(app)
        release = live.get(found.default_branch) if found.default_branch else None
        return release.manifest.counts(asked) if release and release.manifest else asked

    async def scale(self, app: AppName, asked: Counts, tell: Tell) -> dict[ProcessType, int]:
        """Have so many instances of these process types on every live branch, and remember it for the next releases.

        Raises InvalidInput, AppNotFound, NotHealthy, PortsExhausted.
        """
        async with self._turns.of(app, None, tell):
            mode, snapshot = (await self._registry.app(app)).mode, await self._registry.snapshot()
            _check(asked, snapshot, app)
            if mode is AppMode.STOPPED:
                await self._registry.set_formation(app, asked)
                tell(f"-----> {app} is stopped; `balancer start {app}` starts {listed(asked)}")
            else:
                wanted = {**await self._registry.formation(app), **asked}
                fewer = [
                    instance
                    for release in snapshot.live(app).values()
                    for instance in _beyond(snapshot, release, _counts(release, wanted))
                ]
                more = [(each, _missing(snapshot, each, _counts(each, wanted))) for each in _live(snapshot, app)]
                added = await self._add(app, more, tell)
                await self._registry.replace_instances(app, serving=_ids(added), draining=_ids(fewer), formation=asked)
                await self._follow(tell)
                _tell_of(tell, added, fewer)
        log.info("app.scaled", app=app, formation=dict(asked))
        return await self.of(app)

    async def restart(self, app: AppName, branch: BranchName | None, process: ProcessType | None, tell: Tell) -> None:
        """Replace the instances of live releases by new ones; all, or those of one branch, or of one process type.

        Raises AppNotFound, BranchNotFound, InvalidInput, Conflict, NotHealthy, PortsExhausted.
        """
        async with self._turns.of(app, None, tell):
            if (await self._registry.app(app)).mode is AppMode.STOPPED:
                raise Conflict(f"{app} is stopped; `balancer start {app}` starts it")
            snapshot, asked = await self._registry.snapshot(), await self._registry.formation(app)
            chosen = [release for release in _live(snapshot, app) if branch in (None, release.branch)]
            if not chosen:
                raise BranchNotFound(
                    f"{app} has nothing live{f' on {branch}' if branch else ''} to restart; push it first"
                )
            if process:
                _check_types([process], chosen, app)
            new = [
                (release, {each: count for each, count in _counts(release, asked).items() if process in (None, each)})
                for release in chosen
            ]
            old = [i for release in chosen for i in _present(snapshot, release) if process in (None, i.type)]
            added = await self._add(app, new, tell)
            await self._registry.replace_instances(app, serving=_ids(added), draining=_ids(old))
            await self._follow(tell)
            _tell_of(tell, added, old)
        log.info("app.restarted", app=app, branch=branch, process=process)

    async def stop(self, app: AppName, tell: Tell) -> None:
        """Let no instance of the app run until it is started or pushed again. Raises AppNotFound."""
        async with self._turns.of(app, None, tell):
            snapshot = await self._registry.snapshot()
            running = [i for i in _running(snapshot, app) if i.state is not InstanceState.DRAINING]
            await self._registry.replace_instances(app, draining=_ids(running), mode=AppMode.STOPPED)
            log.info("app.stopped", app=app)
            tell(f"-----> Stopping {app}: {len(running)} instances drain")
            await self._follow(tell)
            for _ in range(_STOP_LOOKS):
                if not (left := _running(await self._registry.snapshot(), app)):
                    tell("-----> Stopped")
                    return
                await asyncio.sleep(_STOP_PAUSE_SECONDS)
            tell(f"       {len(left)} instances still finish what they do; nothing new reaches them")

    async def start(self, app: AppName, tell: Tell) -> None:
        """Start what is live of a stopped app, and serve it. Raises AppNotFound, NotHealthy, PortsExhausted."""
        async with self._turns.of(app, None, tell):
            mode, asked = (await self._registry.app(app)).mode, await self._registry.formation(app)
            snapshot = await self._registry.snapshot()
            missing = [(each, _missing(snapshot, each, _counts(each, asked))) for each in _live(snapshot, app)]
            added = await self._add(app, missing, tell)
            to = AppMode.SERVING if mode is AppMode.STOPPED else None
            await self._registry.replace_instances(app, serving=_ids(added), mode=to)
            await self._follow(tell)
            _tell_of(tell, added, ())
            tell("-----> Started" if to else f"-----> {app} was not stopped")
        log.info("app.started", app=app)

    @contextlib.asynccontextmanager
    async def deploying(self, app: AppName, branch: BranchName, tell: Tell) -> AsyncIterator[None]:
        """Hold a branch for a deploy; what goes live starts an app that was stopped, its other branches last."""
        async with self._turns.of(app, branch, tell):
            stopped = (await self._registry.app(app)).mode is AppMode.STOPPED
            yield
        if stopped:
            await self._start_rest(app, tell)

    async def _start_rest(self, app: AppName, tell: Tell) -> None:
        """Start the other branches of a stopped app of which one has just gone live; one that fails is told of."""
        snapshot = await self._registry.snapshot()
        if all(snapshot.instances_of(release) for release in _live(snapshot, app)):
            return
        tell(f"-----> {app} was stopped: starting its other branches too")
        try:
            await self.start(app, tell)
        except BalancerError as reason:
            tell(f"       they do not start: {reason}")
            log.error("app.not.started", app=app, reason=str(reason))

    async def set_mode(self, app: AppName, mode: AppMode) -> None:
        """Serve the app, pause it, or show its maintenance page; when this returns, the proxy does.

        Raises AppNotFound, ProxyFailed, Conflict where the app is stopped.
        """
        async with self._turns.of(app, None, to_nobody):
            if (await self._registry.app(app)).mode is AppMode.STOPPED:
                raise Conflict(f"{app} is stopped, and stays so until `balancer start {app}` or a push")
            await self._registry.set_mode(app, mode)
            log.info("app.mode", app=app, mode=mode.value)
            await self._reconciler.converge()

    async def _add(self, app: AppName, more: Iterable[tuple[Release, Counts]], tell: Tell) -> list[Instance]:
        """Launch instances beside those that serve; what was started drains again where one is not healthy."""
        wanted = [(release, counts) for release, counts in more if any(counts.values())]
        for release, counts in wanted:
            tell(f"-----> Starting more of {release.branch}, release {release.number}: {listed(counts)}")
        try:
            async with asyncio.TaskGroup() as launches:
                adding = [launches.create_task(self._launcher.add(release, n, tell)) for release, n in wanted]
        except BaseException as reason:
            await to_its_end(self._drain_started(app))
            if isinstance(reason, BaseExceptionGroup):  # the first that failed has ended the others
                raise reason.exceptions[0] from None
            raise
        return [instance for each in adding for instance in each.result()]

    async def _drain_started(self, app: AppName) -> None:
        """Let the instances drain that nobody waits for any more to be healthy."""
        snapshot = await self._registry.snapshot()
        left = [i for release in _live(snapshot, app) for i in snapshot.instances_of(release)]
        starting = [instance.id for instance in left if instance.state is InstanceState.STARTING]
        await self._registry.replace_instances(app, draining=starting)
        self._reconciler.wake()

    async def _follow(self, tell: Tell) -> None:
        passed(CrashPoint.INSTANCES_REPLACED)
        self._reconciler.wake()  # whatever becomes of us, the proxy will follow
        try:
            await self._reconciler.converge()
        except ProxyFailed as reason:
            tell(f"       the proxy has not followed yet and is asked again: {reason}")
            self._reconciler.wake()


def _check(asked: Counts, snapshot: Snapshot, app: AppName) -> None:
    if asked.get(WEB) == 0:
        raise InvalidInput(
            f"web=0 would leave {app} to nobody; `balancer stop {app}` shows visitors that it is stopped"
        )
    for process, count in asked.items():
        if not 0 <= count <= INSTANCES_LIMIT:
            raise InvalidInput(f"{process}={count}: from 0 to {INSTANCES_LIMIT} instances are possible (web: from 1)")
    _check_types(asked, _live(snapshot, app), app)


def _check_types(processes: Iterable[ProcessType], live: list[Release], app: AppName) -> None:
    """Raise InvalidInput for a process type that no live release has; where nothing is live any is believed."""
    there = sorted({each for release in live if release.manifest for each in release.manifest.types})
    for process in processes:
        if live and process not in there:
            raise InvalidInput(f"{app} has no process {process}; there are {', '.join(there)}")


def _live(snapshot: Snapshot, app: AppName) -> list[Release]:
    return list(snapshot.live(app).values())


def _counts(release: Release, asked: Counts) -> dict[ProcessType, int]:
    return release.manifest.counts(asked) if release.manifest else {}


def _present(snapshot: Snapshot, release: Release) -> list[Instance]:
    return [i for i in snapshot.instances_of(release) if i.state not in LEAVING]


def _missing(snapshot: Snapshot, release: Release, wanted: Counts) -> dict[ProcessType, int]:
    there = [instance.type for instance in _present(snapshot, release)]
    return {process: max(0, count - there.count(process)) for process, count in wanted.items()}


def _beyond(snapshot: Snapshot, release: Release, wanted: Counts) -> list[Instance]:
    """Return the instances that are too many: those with the highest indexes."""
    found = []
    for process, count in wanted.items():
        of_type = [instance for instance in _present(snapshot, release) if instance.type == process]
        found += sorted(of_type, key=lambda instance: instance.index)[count:]
    return found


def _running(snapshot: Snapshot, app: AppName) -> list[Instance]:
    """Return every instance, those of releases that were live before included."""
    return [i for release in snapshot.releases if release.app == app for i in snapshot.instances_of(release)]


def _ids(instances: Iterable[Instance]) -> list[int]:
    return [instance.id for instance in instances]


def _tell_of(tell: Tell, added: Iterable[Instance], drained: Iterable[Instance]) -> None:
    for what, instances in (("serve now", added), ("drain", drained)):
        if names := ", ".join(instance.label for instance in instances):
            tell(f"       {what}: {names}")
