"""Switches: what happens once the registry says that another release is live, or that one will never be.

Invariants:
    * What the registry has decided is brought about, whatever becomes of whoever waits for it.
    * A tree stays for as long as a release that may run refers to it.
"""

import asyncio
import contextlib

from balancer import logs
from balancer.cancellation import to_its_end
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppName, BranchName, Domain
from balancer.domain.release import Release, ReleaseState
from balancer.domain.routing import branch_host, hosts_of
from balancer.domain.split import OVER
from balancer.errors import BalancerError, DiskFull, ProxyFailed, deliberate
from balancer.services.interfaces import Tell, Workspace
from balancer.services.reconcile import Reconciler
from balancer.services.registry import Registry

log = logs.named("deploy")


class Switch:
    """Follows what the registry has decided of a release."""

    def __init__(
        self,
        registry: Registry,
        workspace: Workspace,
        reconciler: Reconciler,
        *,
        domain: Domain,
        site: str,
        keep_releases: int,
    ) -> None:
        self._registry = registry
        self._workspace = workspace
        self._reconciler = reconciler
        self._domain = domain
        self._site = site
        """What follows a host in a URL: empty, or a colon and the port."""
        self._keep_releases = keep_releases

    async def follow(self, release: Release, tell: Tell) -> None:
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
        await self.prune(release.app, release.branch, self._keep_releases)
        passed(CrashPoint.DEPLOYED)
        tell("-----> Live")
        for url in await self._urls(release):
            tell(f"       {url}")
        await self._tell_of_split(release, tell)

    async def abandon(self, release: Release, reason: BaseException, *, keep_tree: bool) -> None:
        """Note why a release will not go live, however often who does so is cancelled meanwhile.

        The end of a push and the end of the hook's call both cancel a deploy; the reconciler stops what was started of
        it once it is noted.
        """
        await to_its_end(self._abandon(release, reason, keep_tree=keep_tree))

    async def _abandon(self, release: Release, reason: BaseException, *, keep_tree: bool) -> None:
        reason = deliberate(reason)
        why = str(reason) if isinstance(reason, BalancerError) else f"broken off ({type(reason).__name__})"
        with contextlib.suppress(BalancerError):  # it went live after all: what failed came later
            try:
                await self._registry.fail_release(release.id, why)
            except DiskFull:  # perhaps it is the tree that fills it; noted it is as soon as there is room
                self._reconciler.desert(release, why)
            log.warning("release.failed", app=release.app, branch=release.branch, release=release.number, reason=why)
            if not keep_tree:
                await asyncio.to_thread(self._workspace.discard_tree, release)
        self._reconciler.wake()

    async def prune(self, app: AppName, branch: BranchName, keep: int) -> None:
        """Remove the trees of all but `keep` releases to go back to, and but for those that another release runs."""
        of_app = await self._registry.releases(app, limit=1000)
        retired = [
            release
            for release in of_app
            if release.branch == branch and release.activated_at and release.state is ReleaseState.RETIRED
        ]
        old = retired[keep:]
        others = [release for release in of_app if release not in old and release.state is not ReleaseState.FAILED]
        kept = {release.tree for release in others}
        for release in old:
            if release.tree not in kept:
                await asyncio.to_thread(self._workspace.discard_tree, release)
                passed(CrashPoint.TREE_PRUNED)

    async def _tell_of_split(self, release: Release, tell: Tell) -> None:
        """Say that a split goes on with another release of one of its branches, and note when that was."""
        split = (await self._registry.snapshot()).split_of(release.app)
        if split is None or split.state in OVER or release.branch not in split.variants:
            return
        if release.activated_at is None or split.started_at >= release.activated_at:
            return  # it has begun with this release
        log.info("split.release", app=release.app, split=split.id, branch=release.branch, release=release.number)
        tell(
            f"       split {split.id} of {release.app} goes on: its visitors of {release.branch} see release "
            f"{release.number} from now on; `balancer stats {release.app} --by release` shows each apart"
        )

    async def _urls(self, release: Release) -> list[str]:
        app = await self._registry.app(release.app)
        hosts = [branch_host(app.name, release.branch, self._domain)]
        if release.branch == app.default_branch:
            hosts = [*hosts_of(app, self._domain), *hosts]
        return [f"http://{host}{self._site}/" for host in hosts]
