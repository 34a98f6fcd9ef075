"""Deploys: a commit of a branch becomes what its visitors see, or nothing has changed.

Invariants:
    * One deploy a branch at a time; the next waits its turn and is told so.
    * Everything before `activate` can fail or be cancelled, and no visitor sees it.
    * A ref points at the commit that is live: git moves it after a push, `settle` everywhere else.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable

from balancer import logs
from balancer.domain.app import AppName, BranchName, Commit, Domain, Manifest
from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.routing import branch_host, hosts_of
from balancer.errors import (
    BalancerError,
    BranchNotFound,
    InvalidManifest,
    ProxyFailed,
    RefMoved,
    ReleaseNotFound,
    Unavailable,
)
from balancer.services.interfaces import Builder, Ports, Registry, Repository, Supervisor, Tell, Workspace
from balancer.services.reconcile import Reconciler

log = logs.named("deploy")
# 90 s: longer than the drain and the grace of a stop together.
_RETIRE_LOOKS, _RETIRE_PAUSE_SECONDS = 900, 0.1


class Deploys:
    """Carries out pushes and rollbacks."""

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        workspace: Workspace,
        builder: Builder,
        supervisor: Supervisor,
        reconciler: Reconciler,
        ports: Ports,
        *,
        domain: Domain,
        site: str,
        keep_releases: int,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._workspace = workspace
        self._builder = builder
        self._supervisor = supervisor
        self._reconciler = reconciler
        self._ports = ports
        self._domain = domain
        self._site = site
        """What follows a host in a URL: empty, or a colon and the port."""
        self._keep_releases = keep_releases
        self._turns: dict[tuple[AppName, BranchName], asyncio.Lock] = {}
        """Each held by the one deploy of its branch."""
        self._leasing = asyncio.Lock()
        """Held from the choice of a port until it is leased in the registry."""

    async def push(
        self, app: AppName, branch: BranchName, commit: Commit, before: Commit | None, tell: Tell
    ) -> Release:
        """Deploy a pushed commit; `before` is what the pusher believed to be live.

        Raises RefMoved, DeployFailed, InvalidManifest, DomainTaken, AppNotFound, ReleaseNotFound.
        """
        async with self._turn(app, branch, tell):
            live = (await self._registry.snapshot()).live(app).get(branch)
            if (live.commit if live else None) != before:
                raise RefMoved(f"{branch} moved while this push waited: fetch, merge and push again")
            subject, author = await self._repository.describe(app, commit)
            release = await self._registry.open_release(app, branch, commit, subject=subject, author=author)
            return await self._deploy(release, tell)

    async def rollback(self, app: AppName, branch: BranchName | None, number: int | None, tell: Tell) -> Release:
        """Make the release before live again, or release `number`; on the default branch where none is named.

        Raises ReleaseNotFound, BranchNotFound, AppNotFound, NotHealthy.
        """
        chosen = await self._branch_to_roll_back(app, branch, number)
        async with self._turn(app, chosen, tell):
            release = await self._release_to_return_to(app, chosen, number)
            tell(f"-----> Rolling {app} {chosen} back to release {release.number} ({release.commit.short})")
            release = await self._revive(release, tell)
            await self._follow(release, tell)
            await self.settle(app, [chosen])
            return release

    async def settle(self, app: AppName, branches: Iterable[BranchName] | None = None) -> None:
        """Make the refs of an app's branches (all of them by default) point at what is live."""
        live = (await self._registry.snapshot()).live(app)
        for branch in live if branches is None else branches:
            release = live.get(branch)
            if release and await self._repository.ref(app, branch) != release.commit:
                await self._repository.move_ref(app, branch, release.commit)
                log.info("ref.mended", app=app, branch=branch, commit=release.commit)
        default = (await self._registry.app(app)).default_branch
        if default:
            await self._repository.set_head(app, default)

    async def _deploy(self, release: Release, tell: Tell) -> Release:
        try:
            tell(f"-----> Building {release.app} {release.branch}: {release.commit.short} “{release.subject}”")
            manifest = await self._build(release, tell)
            log.info("release.built", app=release.app, branch=release.branch, release=release.number)
            release = await self._registry.start_release(release.id, manifest)
            await self._start(release, tell)
            release = await self._registry.activate(release.id)
        except BaseException as reason:
            await self._abandon(release, reason, keep_tree=False)
            raise
        await self._follow(release, tell)
        return release

    async def _build(self, release: Release, tell: Tell) -> Manifest:
        directory = await asyncio.to_thread(self._workspace.create, release)
        tell = self._recorded(release, tell)
        await self._repository.export(release.app, release.commit, directory)
        manifest = self._builder.manifest(directory)
        self._check_domains(release, manifest)
        tell(f"       by {manifest.source.value}: {manifest.web or f'the static directory {manifest.static}'}")
        config = await self._registry.release_config(release.id)
        await self._builder.build(directory, config, tell)
        if manifest.release:
            await self._builder.run_release_command(manifest.release, directory, config, tell)
        return manifest

    def _recorded(self, release: Release, tell: Tell) -> Tell:
        """Return a Tell that also writes to the release's build log."""
        path = self._workspace.build_log(release)

        def both(line: str) -> None:
            tell(line)
            with path.open("a") as file:
                file.write(line + "\n")

        return both

    async def _start(self, release: Release, tell: Tell) -> None:
        assert release.manifest is not None
        count = release.manifest.instances
        tell(f"-----> Starting release {release.number}" + (f" with {count} instances" if count > 1 else ""))
        began = time.monotonic()
        instances = [await self._open_instance(release, index) for index in range(1, count + 1)]
        for instance in instances:
            await self._supervisor.start(instance, release)
        try:
            async with asyncio.TaskGroup() as waits:
                for instance in instances:
                    waits.create_task(self._wait_until_healthy(instance, release))
        except BaseExceptionGroup as failures:  # the first that failed has ended the other waits
            raise failures.exceptions[0] from None
        tell(f"       healthy after {time.monotonic() - began:.1f} s")

    async def _revive(self, release: Release, tell: Tell) -> Release:
        """Make a release that was live before live again: one that still drains as it is, else from its tree."""
        if release.state is ReleaseState.DRAINING:
            if reclaimed := await self._reconciler.reclaim(release):
                return reclaimed
            tell("       its instances are stopping; waiting until they have")
            await self._wait_until_retired(release)
        if not self._workspace.has_tree(release) or release.manifest is None:
            raise ReleaseNotFound(
                f"release {release.number} of {release.app} was cleared away; push {release.commit.short} again"
            )
        release = await self._registry.start_release(release.id, release.manifest)
        try:
            await self._start(release, tell)
            return await self._registry.activate(release.id)
        except BaseException as reason:
            await self._abandon(release, reason, keep_tree=True)
            raise

    async def _wait_until_retired(self, release: Release) -> None:
        for _ in range(_RETIRE_LOOKS):
            if all(each.id != release.id for each in (await self._registry.snapshot()).releases):
                return
            self._reconciler.wake()
            await asyncio.sleep(_RETIRE_PAUSE_SECONDS)
        raise Unavailable(f"release {release.number} of {release.app} is still stopping; try again in a while")

    async def _follow(self, release: Release, tell: Tell) -> None:
        """Let the proxy follow a release that was made live, and say where it is."""
        self._reconciler.wake()  # whatever becomes of us, the proxy will follow
        log.info("release.live", app=release.app, branch=release.branch, release=release.number, commit=release.commit)
        try:
            await self._reconciler.converge()
        except ProxyFailed as reason:
            # The registry has it: the reconciler goes on trying until the proxy follows.
            tell(f"       the proxy has not followed yet and is asked again: {reason}")
            self._reconciler.wake()
        else:
            log.info("release.serving", app=release.app, branch=release.branch, release=release.number)
        await self._prune(release)
        tell("-----> Live")
        for url in await self._urls(release):
            tell(f"       {url}")

    async def _open_instance(self, release: Release, index: int) -> Instance:
        async with self._leasing:
            port = self._ports.choose(await self._registry.leased_ports())
            return await self._registry.open_instance(release.id, index, port)

    async def _wait_until_healthy(self, instance: Instance, release: Release) -> None:
        await self._supervisor.wait_until_healthy(instance, release)
        await self._registry.move_instance(instance.id, InstanceState.HEALTHY)

    async def _abandon(self, release: Release, reason: BaseException, *, keep_tree: bool) -> None:
        """Note why a release will not go live; the reconciler stops what was started of it."""
        why = str(reason) if isinstance(reason, BalancerError) else f"broken off ({type(reason).__name__})"
        with contextlib.suppress(BalancerError):  # it went live after all: what failed came later
            await self._registry.fail_release(release.id, why)
            log.warning("release.failed", app=release.app, branch=release.branch, release=release.number, reason=why)
            if not keep_tree:
                await asyncio.to_thread(self._workspace.discard_tree, release)
        self._reconciler.wake()

    async def _prune(self, live: Release) -> None:
        """Remove the trees of releases too old to go back to."""
        old = [
            release
            for release in await self._registry.releases(live.app, limit=200)
            if release.branch == live.branch and release.state is ReleaseState.RETIRED and release.activated_at
        ]
        for release in old[self._keep_releases :]:
            await asyncio.to_thread(self._workspace.discard_tree, release)

    def _check_domains(self, release: Release, manifest: Manifest) -> None:
        for domain in manifest.domains:
            if domain == self._domain or domain.endswith(f".{self._domain}"):
                raise InvalidManifest(
                    f"the domain {domain} lies below {self._domain}, which the platform gives out itself: leave it out"
                )

    async def _urls(self, release: Release) -> list[str]:
        app = await self._registry.app(release.app)
        hosts = [branch_host(app.name, release.branch, self._domain)]
        if release.branch == app.default_branch:
            hosts = [*hosts_of(app, self._domain), *hosts]
        return [f"http://{host}{self._site}/" for host in hosts]

    async def _branch_to_roll_back(self, app: AppName, branch: BranchName | None, number: int | None) -> BranchName:
        found = await self._registry.app(app)
        if number is not None:
            return (await self._release_numbered(app, number)).branch
        chosen = branch or found.default_branch
        if chosen is None:
            raise BranchNotFound(f"nothing of {app} was ever live; push a branch first")
        return chosen

    async def _release_to_return_to(self, app: AppName, branch: BranchName, number: int | None) -> Release:
        if number is None:
            return await self._registry.release_before(app, branch)
        release = await self._release_numbered(app, number)
        if release.state is ReleaseState.LIVE:
            raise ReleaseNotFound(
                f"release {number} of {app} is live already; `balancer releases {app}` shows the others"
            )
        if release.activated_at is None:
            raise ReleaseNotFound(
                f"release {number} of {app} never was live; `balancer releases {app}` shows those that were"
            )
        return release

    async def _release_numbered(self, app: AppName, number: int) -> Release:
        for release in await self._registry.releases(app, limit=1000):
            if release.number == number:
                return release
        raise ReleaseNotFound(f"{app} has no release {number}; `balancer releases {app}` shows those there are")

    @contextlib.asynccontextmanager
    async def _turn(self, app: AppName, branch: BranchName, tell: Tell) -> AsyncIterator[None]:
        lock = self._turns.setdefault((app, branch), asyncio.Lock())
        if lock.locked():
            tell(f"-----> Another deploy of {app} {branch} is under way; waiting for its turn")
        async with lock:
            yield
