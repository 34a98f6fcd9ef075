"""What the proxy should do, and how that follows from apps, live releases and splits.

Invariants:
    * A host belongs to one app; a backend is reached only through hosts of its own app.
    * An unhealthy instance gets no new requests while another one, or a stand-in, is well.
    * Instances of live releases get new requests; draining ones are known to the proxy until they are stopped.
    * What stands by of the release before gets requests only while nothing of its branch's live release can serve.
    * A variant of a running split whose branch has no live instance is served by the others, and keeps its visitors.
    * A variant of weight 0 serves nobody. Where one variant has all the weight, everybody sees that one and keeps their
      assignment, so that figures by assignment stay; where several have, its visitors are assigned anew.
    * A paused split keeps the visitors that it has, and takes none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from balancer.domain.allocation import BUCKETS, Range
from balancer.domain.app import App, AppMode, BranchName, Domain
from balancer.domain.audience import EVERYONE, Audience
from balancer.domain.manifest import COUNT_ALL, WEB, Manifest, Privacy
from balancer.domain.release import LEAVING, Instance, InstanceState, Release
from balancer.domain.snapshot import AppPart, Snapshot
from balancer.domain.split import Split, SplitId, SplitState

# One that is starting has not been found healthy yet; one that became unhealthy is left to the proxy's own checks.
_SERVING = {InstanceState.HEALTHY, InstanceState.UNHEALTHY}


class Role(Enum):
    """What a server is in its backend."""

    ACTIVE = "active"
    BACKUP = "backup"
    """Of another branch: it serves only while no active one can."""
    STANDBY = "standby"
    """Of the release before: it serves only while no active one can, and rather than another branch's."""
    DRAINING = "draining"
    FIRST = "first"
    """In a window: it is asked before the release before is."""
    PREVIOUS = "previous"
    """In a window: of the release before."""


# 16: so many branches may have been switched within the time that files of the release before are still asked for.
WINDOWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRoute:
    """One instance as a server of one backend."""

    name: str
    port: int
    role: Role
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRoute:
    """The servers of one live branch."""

    name: str
    """`<branch slug>--<app>`, which no two branches share."""
    servers: tuple[ServerRoute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRoute:
    """The running split of an app, as the proxy needs it."""

    id: SplitId
    phase: int
    """The one that new visitors are assigned in; every phase from 1 on may still be in a cookie."""
    allocation: tuple[Range, ...]
    """Whose the buckets are; none are given out while the split is paused."""
    backends: Mapping[str, str]
    """Slug of a variant → name of its backend."""
    held_out: tuple[int, int] = (BUCKETS, BUCKETS)
    """The buckets, from the first to below the last, whose visitors are in no variant."""
    control: str = ""
    """The backend of those who are served and not counted; empty: the default one."""
    audience: Audience = EVERYONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """For a while after a switch, files that the new release does not have are looked for in the one before."""

    backend: str
    """Of the branch that was switched."""
    release_id: int
    """The one that was switched to."""
    servers: tuple[ServerRoute, ...]
    """Those of the new release, of role FIRST, and those of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoute:
    """One app: its hosts, its backends, its split."""

    name: str
    hosts: tuple[str, ...]
    """Those that lead to the app as a whole."""
    branch_hosts: Mapping[str, str]
    """Host of one branch → name of its backend."""
    default_backend: str | None
    """None while nothing of the default branch is live."""
    backends: tuple[BackendRoute, ...]
    split: SplitRoute | None
    mode: AppMode = AppMode.SERVING
    previews: Mapping[str, str] = field(default_factory=dict)
    """`<preview key>.<branch slug>` → name of the backend that it shows."""
    privacy: Privacy = COUNT_ALL
    windows: tuple["Window", ...] = ()
    slow_after_milliseconds: int | None = None
    """From when on an answer to a visitor of the split is noted as slow; None: none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """Everything the proxy should do, as one value."""

    apps: tuple[AppRoute, ...] = ()


def backend_name(app: str, branch: BranchName) -> str:
    """Return the name of a branch's backend, which is also the first label of its own host."""
    return f"{branch.slug}--{app}"


def route_table(snapshot: Snapshot, platform_domain: Domain) -> RouteTable:
    """Return what the proxy should do for `snapshot`, with hosts below `platform_domain`."""
    return RouteTable(apps=tuple(_app_route(snapshot, app, platform_domain) for app in snapshot.apps))


class RouteTables:
    """Route tables, one after the other: of an app of which nothing has changed the route is the one of before.

    Each is equal to what `route_table` returns; the route of an app is the same *object* as long as it is equal.
    """

    def __init__(self, platform_domain: Domain) -> None:
        self._domain = platform_domain
        self._made: dict[str, tuple[AppPart, AppRoute]] = {}
        self._last: tuple[Snapshot, RouteTable] | None = None

    def of(self, snapshot: Snapshot) -> RouteTable:
        """Return what the proxy should do for `snapshot`."""
        if self._last is None or self._last[0] is not snapshot:
            self._made = {app.name: self._app(snapshot, app) for app in snapshot.apps}
            self._last = snapshot, RouteTable(apps=tuple(route for _, route in self._made.values()))
        return self._last[1]

    def _app(self, snapshot: Snapshot, app: App) -> tuple[AppPart, AppRoute]:
        part, before = snapshot.part(app), self._made.get(app.name)
        if before is not None and before[0] == part:
            return before
        return part, _app_route(snapshot, app, self._domain)


def windows_of(table: RouteTable) -> dict[int, Window]:
    """Return which window uses which spare backend, from 0 to below `WINDOWS`: the newest where two want one."""
    found = sorted((window for app in table.apps for window in app.windows), key=lambda window: window.release_id)
    return {window.release_id % WINDOWS: window for window in found}


def hosts_of(app: App, platform_domain: Domain) -> tuple[str, ...]:
    """Return the hosts that lead to an app as a whole, the platform's own first."""
    return (f"{app.name}.{platform_domain}", *app.domains)


def branch_host(app: str, branch: BranchName, platform_domain: Domain) -> str:
    """Return the host of one branch of an app."""
    return f"{backend_name(app, branch)}.{platform_domain}"


def _app_route(snapshot: Snapshot, app: App, platform_domain: Domain) -> AppRoute:
    live = dict(sorted(snapshot.live(app.name).items()))  # a push to one branch must not change the order of backends
    split = snapshot.split_of(app.name)
    manifest = _manifest(app, live)
    default = app.promoted if app.promoted in live else app.default_branch
    return AppRoute(
        name=app.name,
        hosts=hosts_of(app, platform_domain),
        branch_hosts={
            branch_host(app.name, branch, platform_domain): backend_name(app.name, branch) for branch in live
        },
        default_backend=backend_name(app.name, default) if default in live else None,
        backends=tuple(_backend(snapshot, release, live, split) for release in live.values()),
        split=_split_route(split, live, default) if split else None,
        mode=app.mode,
        previews=_previews(app, live),
        privacy=manifest.privacy if manifest else COUNT_ALL,
        windows=tuple(_windows(snapshot, live)),
        slow_after_milliseconds=manifest.slow_after_milliseconds if manifest else None,
    )


def _split_route(split: Split, live: Mapping[BranchName, Release], default: BranchName | None) -> SplitRoute:
    taking = split.state is SplitState.RUNNING
    control = split.control if split.control in live else default
    weights = split.phase.weights
    weighty = [branch for branch, weight in weights.items() if weight]
    backends = {branch: branch for branch in weighty if branch in live}
    if len(weighty) == 1 and backends:
        backends = dict.fromkeys(weights, weighty[0])
    return SplitRoute(
        id=split.id,
        phase=split.phase.number,
        allocation=tuple(piece for piece in split.allocation if piece.variant in live) if taking else (),
        held_out=(split.room, BUCKETS if taking else split.room),
        backends={branch.slug: backend_name(split.app, serving) for branch, serving in backends.items()},
        control=backend_name(split.app, control) if control else "",
        audience=split.brief.audience,
    )


def _previews(app: App, live: Iterable[BranchName]) -> dict[str, str]:
    if app.preview_key is None:
        return {}
    return {f"{app.preview_key}.{branch.slug}": backend_name(app.name, branch) for branch in live}


def _manifest(app: App, live: Mapping[BranchName, Release]) -> Manifest | None:
    """Return what the default branch says of the whole app."""
    release = live.get(app.default_branch) if app.default_branch else None
    return release.manifest if release else None


def _windows(snapshot: Snapshot, live: Mapping[BranchName, Release]) -> Iterator[Window]:
    for branch, release in live.items():
        before = _standing_by(snapshot, release)
        first = _well(snapshot, release)
        if before and first and (release.manifest is None or release.manifest.previous_assets):
            yield Window(
                backend=backend_name(release.app, branch),
                release_id=release.id,
                servers=(
                    *(_server(each, Role.FIRST, prefix="first.") for each in first),
                    *(_server(each, Role.PREVIOUS, prefix="previous.") for each in before),
                ),
            )


def _standing_by(snapshot: Snapshot, release: Release) -> list[Instance]:
    """Return the instances of the release before that stand by for a live one."""
    return [
        instance
        for other in snapshot.releases_of(release.app)
        if other.branch == release.branch
        for instance in _web(snapshot, other)
        if instance.state is InstanceState.STANDBY
    ]


def _backend(
    snapshot: Snapshot, release: Release, live: Mapping[BranchName, Release], split: Split | None
) -> BackendRoute:
    staying = [instance for instance in _web(snapshot, release) if instance.state in _SERVING]
    backups = [
        each for branch in _stand_ins(release.branch, split) if branch in live for each in _well(snapshot, live[branch])
    ]
    # All of them where none is well and nobody stands in: a proxy that refuses everyone helps nobody.
    serving = _well(snapshot, release) or ([] if backups else staying)
    servers = [_server(instance, Role.ACTIVE) for instance in serving]
    unwell = [instance for instance in staying if instance not in serving]
    leaving = [
        instance
        for other in snapshot.releases_of(release.app)
        if other.branch == release.branch
        for instance in _web(snapshot, other)
        if instance.state in LEAVING
    ]
    # Two servers for one that stands by: what it had before as an active one ends there.
    servers += [_server(each, Role.DRAINING) for each in (*unwell, *leaving)]
    servers += [
        _server(each, Role.STANDBY, prefix="standby.") for each in leaving if each.state is InstanceState.STANDBY
    ]
    servers += [_server(instance, Role.BACKUP, prefix="backup.") for instance in backups]
    return BackendRoute(
        name=backend_name(release.app, release.branch),
        servers=tuple(servers),
    )


def _server(instance: Instance, role: Role, *, prefix: str = "") -> ServerRoute:
    return ServerRoute(name=f"{prefix}{instance.server}", host=instance.host, port=instance.port, role=role)


def _well(snapshot: Snapshot, release: Release) -> list[Instance]:
    """Return the instances that get new requests whatever the others do."""
    return [instance for instance in _web(snapshot, release) if instance.state is InstanceState.HEALTHY]


def _web(snapshot: Snapshot, release: Release) -> Iterator[Instance]:
    """Return the instances of a release that answer requests."""
    return (instance for instance in snapshot.instances_of(release) if instance.type == WEB)


def _stand_ins(branch: BranchName, split: Split | None) -> tuple[BranchName, ...]:
    """Return the branches whose instances serve for `branch` while it has none: the control; for that the rest."""
    if split is None or branch not in split.variants:
        return ()
    if branch != split.control:
        return (split.control,)
    return tuple(variant for variant in split.variants if variant != branch)
