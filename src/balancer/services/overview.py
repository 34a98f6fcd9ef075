"""The overview: how every app stands, at a glance.

Invariants:
    * It is made from what is in memory and what the registry has: the ledger is not waited for.
    * An instance counts as healthy only where its process is there.

Everything in it is plain, for the pages; `standing_of` is pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from balancer.clock import Clock
from balancer.domain.app import App, AppMode, AppName, BranchName, Domain
from balancer.domain.plan import Exit
from balancer.domain.release import LEAVING, Instance, InstanceState, Release, ReleaseState
from balancer.domain.routing import backend_name, branch_host, hosts_of
from balancer.domain.snapshot import AppPart, Snapshot
from balancer.services.deploy_standing import (
    SHOWN_FOR,
    DeployStanding,
    FailedDeploy,
    failed_deploys,
    is_under_way,
    last_step,
)
from balancer.services.interfaces import Supervisor, Workspace
from balancer.services.lacking import lacking
from balancer.services.lights import Lights, Said
from balancer.services.rates import Rates, Series
from balancer.services.registry import Registry
from balancer.services.rollouts import Rollouts, Standing
from balancer.services.split_standing import SplitStanding

Chooser = Callable[[tuple[AppName, ...], Set[AppName]], Set[AppName]]
"""Given the name of each app, and of those that somebody should look at, says which are to be shown."""
# 10: more are not looked at, but searched; an app that deploys each pull request has hundreds.
BRANCHES_AT_A_GLANCE = 10


class Health(Enum):
    """How an app is, in the words of the pages; the worst that is true of it."""

    DOWN = "down"
    """A live branch has no healthy instance."""
    DEGRADED = "degraded"
    """A live branch has fewer healthy instances than it should."""
    STOPPED = "stopped"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    EMPTY = "nothing live"
    """No branch was pushed yet."""
    HEALTHY = "healthy"


_OF_MODE = {AppMode.STOPPED: Health.STOPPED, AppMode.PAUSED: Health.PAUSED, AppMode.MAINTENANCE: Health.MAINTENANCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchStanding:
    """A live branch."""

    branch: BranchName
    url: str
    release: int
    commit: str
    """Short."""
    subject: str
    author: str
    live_since: datetime | None
    default: bool
    healthy: int
    wanted: int
    """How many instances there should be, of all process types."""
    ending: str
    """How one of those that are not healthy has ended last; empty where none has."""
    weight: int | None
    """Its part of new visitors, in units of 0.01 %; None outside a split."""
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStanding:
    """One app."""

    name: AppName
    urls: tuple[str, ...]
    branches: tuple[BranchStanding, ...]
    """The default branch first."""
    deploys: tuple[DeployStanding, ...]
    failed: tuple[FailedDeploy, ...]
    """The newest first."""
    split: SplitStanding | None
    health: Health

    @property
    def foremost(self) -> tuple[BranchStanding, ...]:
        """The branches to show at a glance: all of few, of many those that matter, in the same order."""
        if len(self.branches) <= BRANCHES_AT_A_GLANCE:
            return self.branches
        shared = {branch for branch, _ in self.split.shares} if self.split else set[BranchName]()
        chosen = sorted(self.branches, key=lambda each: _eminence(each, shared))[:BRANCHES_AT_A_GLANCE]
        return tuple(each for each in self.branches if each in chosen)


def _eminence(branch: BranchStanding, shared: Set[BranchName]) -> tuple[bool, bool, bool, float]:
    present = branch.series.present
    is_well = branch.healthy >= branch.wanted
    return not branch.default, branch.branch not in shared, is_well, -(present.requests if present else 0.0)


class Overviews:
    """Says how the apps stand."""

    def __init__(
        self,
        registry: Registry,
        supervisor: Supervisor,
        workspace: Workspace,
        rollouts: Rollouts,
        rates: Rates,
        lights: Lights,
        *,
        clock: Clock,
        domain: Domain,
        site: str,
    ) -> None:
        """`site` is what follows a host in a URL."""
        self._registry = registry
        self._supervisor = supervisor
        self._workspace = workspace
        self._rollouts = rollouts
        self._rates = rates
        self._lights = lights
        self._clock = clock
        self._looked: tuple[Snapshot, Set[int], frozenset[AppName]] | None = None
        """Who lacked an instance, and in what."""
        self._domain = domain
        self._site = site

    async def names(self) -> tuple[AppName, ...]:
        """Return the name of each app, in order."""
        return tuple(sorted(app.name for app in (await self._registry.snapshot()).apps))

    async def of(self, chosen: Set[AppName] | Chooser) -> tuple[AppStanding, ...]:
        """Return how these apps stand, in the order of their names; those that are no more are left out.

        What chooses is given the name of each app there is, in order, and those that somebody should look at, as of
        the same moment.
        """
        snapshot, running = await self._registry.snapshot(), self._supervisor.running()
        lately = await self._registry.failed_deploys(self._clock() - SHOWN_FOR)
        names = chosen if isinstance(chosen, Set) else self._chosen(chosen, snapshot, running, lately)
        rollouts = {standing.rollout.split: standing for standing in await self._rollouts.of_open_splits()}
        failed = failed_deploys(lately)
        standings = []
        for app in sorted((app for app in snapshot.apps if app.name in names), key=lambda app: app.name):
            part = snapshot.part(app)
            split = part.split
            standings.append(
                standing_of(
                    part,
                    running=running,
                    exits=self._supervisor.exits,
                    series={
                        branch: self._rates.of(backend_name(app.name, branch)) for branch in snapshot.live(app.name)
                    },
                    failed=failed.get(app.name, ()),
                    said=self._lights.of(split) if split else None,
                    rollout=rollouts.get(split.id) if split else None,
                    steps={release.id: self._step(release) for release in part.releases if is_under_way(release)},
                    domain=self._domain,
                    site=self._site,
                )
            )
        return tuple(standings)

    def _chosen(
        self, choose: Chooser, snapshot: Snapshot, running: Set[int], failed: tuple[Release, ...]
    ) -> Set[AppName]:
        """Return what is chosen. Who is unwell is found out once: of a thousand apps it takes 10 ms each time."""
        if self._looked is None or self._looked[0] is not snapshot or self._looked[1] != running:
            self._looked = (snapshot, running, lacking(snapshot, running))
        unwell = self._looked[2] | {release.app for release in failed}
        return choose(tuple(sorted(app.name for app in snapshot.apps)), unwell)

    def _step(self, release: Release) -> str:
        try:
            return last_step(self._workspace.build_log(release).read_text(errors="replace"))
        except OSError:  # nothing was noted yet
            return ""


def standing_of(
    part: AppPart,
    *,
    running: Set[int],
    exits: Mapping[int, Exit],
    series: Mapping[BranchName, Series],
    failed: tuple[FailedDeploy, ...],
    said: Said | None,
    rollout: Standing | None,
    steps: Mapping[int, str],
    domain: Domain,
    site: str,
) -> AppStanding:
    """Return how one app stands; `running` are the instances whose process is there, `steps` those of its deploys."""
    app, split = part.app, part.split
    weights = split.phase.weights if split else {}
    branches = tuple(
        BranchStanding(
            branch=release.branch,
            url=f"http://{branch_host(app.name, release.branch, domain)}{site}/",
            release=release.number,
            commit=release.commit.short,
            subject=release.subject,
            author=release.author,
            live_since=release.activated_at,
            default=release.branch == app.default_branch,
            healthy=sum(_is_healthy(instance, running) for instance in instances),
            wanted=sum(instance.state not in LEAVING for instance in instances),
            ending=next(_endings(instances, running, exits), ""),
            weight=weights.get(release.branch),
            series=series.get(release.branch, Series()),
        )
        for release, instances in sorted(
            zip(part.releases, part.instances, strict=True),
            key=lambda pair: (pair[0].branch != app.default_branch, pair[0].branch),
        )
        if release.state is ReleaseState.LIVE
    )
    return AppStanding(
        name=app.name,
        urls=tuple(f"http://{host}{site}/" for host in hosts_of(app, domain)),
        branches=branches,
        deploys=tuple(
            DeployStanding.of(release, steps.get(release.id, "")) for release in part.releases if is_under_way(release)
        ),
        failed=failed,
        split=SplitStanding.of(split, said, rollout) if split else None,
        health=_health(app, branches),
    )


def _endings(instances: Iterable[Instance], running: Set[int], exits: Mapping[int, Exit]) -> Iterator[str]:
    for instance in instances:
        end = exits.get(instance.id)
        if end is not None and instance.state not in LEAVING and not _is_healthy(instance, running):
            yield end.ending if end.ends == 1 else f"{end.ending}, {end.ends} times in a row"


def _is_healthy(instance: Instance, running: Set[int]) -> bool:
    return instance.id in running and instance.state is InstanceState.HEALTHY


def _health(app: App, branches: tuple[BranchStanding, ...]) -> Health:
    if app.mode in _OF_MODE:
        return _OF_MODE[app.mode]
    if not branches:
        return Health.EMPTY
    if any(branch.healthy == 0 and branch.wanted for branch in branches):
        return Health.DOWN
    if any(branch.healthy < branch.wanted for branch in branches):
        return Health.DEGRADED
    return Health.HEALTHY
