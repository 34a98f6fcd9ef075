"""One app in detail: its releases, its instances and what they take, what goes on with it, and who changed what last.

Invariant: it is made from what is in memory and from the registry; neither the ledger nor the proxy is waited for, and
git once of a winner that waits to be merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from balancer.clock import Clock
from balancer.domain.app import App, AppName, BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.manifest import ProcessType
from balancer.domain.merge import Merge
from balancer.domain.plan import Exit
from balancer.domain.release import Instance, Release, ReleaseState
from balancer.domain.rollout import ENDED, RolloutState
from balancer.domain.split import Split
from balancer.errors import BanditNotFound, RolloutNotFound
from balancer.process_table import age_seconds
from balancer.services.audit import Audit
from balancer.services.bandits import Bandits, BanditStanding
from balancer.services.formation import Formations
from balancer.services.interfaces import Supervisor, Workspace
from balancer.services.loads import Load, Loads
from balancer.services.merges import Merges
from balancer.services.overview import AppStanding, Overviews
from balancer.services.registry import Registry
from balancer.services.rollouts import Rollouts, Standing

RELEASES_SHOWN = 15
"""A day or two of a busy team; `balancer releases` lists the others."""
_AUDIT_SHOWN = 10
_GONE_BACK_TO = frozenset({ReleaseState.DRAINING, ReleaseState.RETIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDetail:
    """A release, and whether it can be gone back to."""

    release: Release
    returnable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDetail:
    """An instance."""

    instance: Instance
    release: Release
    is_running: bool
    up_seconds: float | None
    """How long its process has run; None while there is none."""
    load: Load | None
    """None where its process is not there."""
    end: Exit | None
    """Its latest unasked-for end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDetail:
    """One app."""

    app: App
    standing: AppStanding
    releases: tuple[ReleaseDetail, ...]
    """The newest first."""
    instances: tuple[InstanceDetail, ...]
    formation: Mapping[ProcessType, int]
    split: Split | None
    """That is not over."""
    rollout: Standing | None
    """That goes on, else the one that ended last."""
    bandit: BanditStanding | None
    """That goes on."""
    audit: tuple[AuditEntry, ...]
    merge: Merge | None
    """What has to be merged before the winner that visitors see becomes the default branch's release."""
    made_at: datetime

    @property
    def beside(self) -> tuple[BranchName, ...]:
        """The live branches beside the one that visitors see outside a split."""
        return tuple(each.branch for each in self.standing.branches if each.branch != self.app.served_branch)

    @property
    def is_steered(self) -> bool:
        """Whether a rollout or a bandit gives the split its weights, and ends it."""
        its = self._rollout_of_split
        return self.bandit is not None or (its is not None and its.rollout.state not in ENDED)

    @property
    def is_left_behind(self) -> bool:
        """Whether the split was left by a rollout or a bandit that was stopped: a new rollout takes its place."""
        its = self._rollout_of_split
        stopped = its is not None and its.rollout.state in (RolloutState.ROLLED_BACK, RolloutState.ABORTED)
        return stopped or (self.split is not None and self.split.brief.bandit and self.bandit is None)

    @property
    def _rollout_of_split(self) -> Standing | None:
        of_split = self.rollout is not None and self.split is not None and self.rollout.rollout.split == self.split.id
        return self.rollout if of_split else None

    def can_go_back(self, branch: BranchName) -> bool:
        """Tell whether there may be something to go back to: a release before, or the winner's default branch."""
        if self.app.promoted and branch == self.app.default_branch:
            return True
        older = len(self.releases) >= RELEASES_SHOWN
        return older or any(each.returnable for each in self.releases if each.release.branch == branch)


class AppDetails:
    """Says how one app is, in detail."""

    def __init__(
        self,
        registry: Registry,
        supervisor: Supervisor,
        workspace: Workspace,
        overviews: Overviews,
        formations: Formations,
        rollouts: Rollouts,
        bandits: Bandits,
        audit: Audit,
        loads: Loads,
        merges: Merges,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._workspace = workspace
        self._overviews = overviews
        self._formations = formations
        self._rollouts = rollouts
        self._bandits = bandits
        self._audit = audit
        self._loads = loads
        self._merges = merges
        self._clock = clock

    async def of(self, name: AppName) -> AppDetail:
        """Return one app as it is now. Raises AppNotFound."""
        app = await self._registry.app(name)
        (standing,) = await self._overviews.of(frozenset({name}))
        snapshot, loads = await self._registry.snapshot(), await self._loads.present()
        running = self._supervisor.running()
        instances = tuple(
            InstanceDetail(
                instance=instance,
                release=release,
                is_running=instance.id in running,
                up_seconds=age_seconds(instance.process) if instance.process and instance.id in running else None,
                load=loads.get(instance.id),
                end=self._supervisor.exits.get(instance.id),
            )
            for release in reversed(snapshot.releases_of(name))
            for instance in snapshot.instances_of(release)
        )
        return AppDetail(
            app=app,
            standing=standing,
            releases=tuple(
                ReleaseDetail(release=each, returnable=self._is_returnable(each))
                for each in await self._registry.releases(name, RELEASES_SHOWN)
            ),
            instances=instances,
            formation=await self._formations.of(name),
            split=snapshot.split_of(name),
            rollout=await self._rollout(name),
            bandit=await self._bandit(name),
            audit=await self._audit.newest(name, None, _AUDIT_SHOWN),
            merge=await self._merges.waiting(name),
            made_at=self._clock(),
        )

    def _is_returnable(self, release: Release) -> bool:
        was_live = release.state in _GONE_BACK_TO and release.activated_at is not None
        return was_live and (release.state is ReleaseState.DRAINING or self._workspace.has_tree(release))

    async def _rollout(self, name: AppName) -> Standing | None:
        try:
            return await self._rollouts.standing(name)
        except RolloutNotFound:
            return None

    async def _bandit(self, name: AppName) -> BanditStanding | None:
        try:
            standing = await self._bandits.standing(name)
        except BanditNotFound:
            return None
        return None if standing.bandit.state in ENDED else standing
