"""Releases in the registry: each function a part of one transaction.

Invariants:
    * A release only moves as the domain allows.
    * Numbers count 1, 2, 3 … within an app; an id is never given out again.
    * `activated_at` of a branch's releases is in the order in which they went live, whatever the clock did.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, exists, func, insert, select, update

from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.manifest import WEB, Manifest
from balancer.domain.release import InstanceState, Release, ReleaseState, check_release_move
from balancer.errors import IllegalTransition, ReleaseNotFound
from balancer.store import apps, instances, rows, tables
from balancer.store.rows import AnyRow

_T = tables.releases
_WERE_LIVE = (ReleaseState.RETIRED.value, ReleaseState.DRAINING.value)
_NOT_OVER = [state.value for state in ReleaseState if state not in {ReleaseState.RETIRED, ReleaseState.FAILED}]


def add(
    connection: Connection,
    app: AppName,
    branch: BranchName,
    commit: Commit,
    *,
    subject: str,
    author: str,
    config: str,
    now: datetime,
    tree: int | None = None,
) -> Release:
    """Add a building release with the next number; `config` is encrypted, `tree` its own where it is None.

    Raises InvalidName where the slug is another branch's.
    """
    apps.add_branch(connection, app, branch)
    last = connection.scalar(select(func.max(_T.c.number)).where(_T.c.app == app)) or 0
    added = insert(_T).values(
        app=app,
        branch=branch,
        number=last + 1,
        tree=last + 1 if tree is None else tree,
        commit=commit,
        state=ReleaseState.BUILDING.value,
        config=config,
        subject=subject,
        author=author,
        created_at=now,
    )
    return get(connection, connection.execute(added.returning(_T.c.id)).scalar_one())


def get(connection: Connection, release_id: int) -> Release:
    """Return one release. Raises ReleaseNotFound."""
    row = connection.execute(select(_T).where(_T.c.id == release_id)).one_or_none()
    if row is None:
        raise ReleaseNotFound(f"there is no release with the id {release_id}")
    return rows.release(row)


def config(connection: Connection, release_id: int) -> str:
    """Return the encrypted config vars of a release. Raises ReleaseNotFound."""
    get(connection, release_id)
    return str(connection.scalar(select(_T.c.config).where(_T.c.id == release_id)))


def set_config(connection: Connection, release_id: int, config: str) -> None:
    """Give a building release other config vars, encrypted."""
    connection.execute(update(_T).where(_T.c.id == release_id, _T.c.state == "building").values(config=config))


def set_branch(connection: Connection, release_id: int, branch: BranchName) -> Release:
    """Make a building release one of another branch. Raises IllegalTransition, InvalidName, ReleaseNotFound."""
    release = get(connection, release_id)
    if release.state is not ReleaseState.BUILDING:
        raise IllegalTransition(f"a {release.state.value} release stays on its branch")
    apps.add_branch(connection, release.app, branch)
    return _move(connection, release, ReleaseState.BUILDING, branch=branch)


def newest(connection: Connection, app: AppName, limit: int) -> tuple[Release, ...]:
    """Return at most `limit` releases of an app, newest first. Raises AppNotFound."""
    apps.get(connection, app)
    of_app = select(_T).where(_T.c.app == app).order_by(_T.c.number.desc()).limit(limit)
    return tuple(rows.release(row) for row in connection.execute(of_app))


def not_over(connection: Connection, make: Callable[[AnyRow], Release] = rows.release) -> tuple[Release, ...]:
    """Return the releases that are building, starting, live or draining, or have instances, oldest first.

    `make` gives the release of a row.
    """
    with_instances = select(tables.instances.c.release_id).where(tables.holds_port)
    columns = [column for column in _T.c if column is not _T.c.config]  # nobody needs it there, and it may be long
    wanted = select(*columns).where(_T.c.state.in_(_NOT_OVER) | _T.c.id.in_(with_instances)).order_by(_T.c.id)
    return tuple(map(make, connection.execute(wanted).all()))


def failed_last(connection: Connection, since: datetime) -> tuple[Release, ...]:
    """Return each release that was begun since then, has failed, and is the last of its branch; the newest first."""
    later = _T.alias()
    is_followed = exists().where(later.c.app == _T.c.app, later.c.branch == _T.c.branch, later.c.number > _T.c.number)
    columns = [column for column in _T.c if column is not _T.c.config]
    wanted = select(*columns).where(_T.c.state == ReleaseState.FAILED.value, _T.c.created_at >= since, ~is_followed)
    return tuple(map(rows.release, connection.execute(wanted.order_by(_T.c.id.desc()))))


def live(connection: Connection, app: AppName) -> dict[BranchName, Release]:
    """Return the live release of each branch of an app."""
    found = connection.execute(select(_T).where(_T.c.app == app, tables.is_live))
    return {release.branch: release for release in map(rows.release, found)}


def before(connection: Connection, app: AppName, branch: BranchName) -> Release:
    """Return what was live on the branch last, before what is, and did not fail. Raises ReleaseNotFound."""
    were_live = (
        select(_T)
        .where(_T.c.app == app, _T.c.branch == branch, _T.c.state.in_(_WERE_LIVE), _T.c.activated_at.is_not(None))
        .where(_T.c.reason.is_(None))
        .order_by(_T.c.activated_at.desc())
    )
    row = connection.execute(were_live.limit(1)).one_or_none()
    if row is None:
        raise ReleaseNotFound(f"no release of {branch} of {app} was live before; push the commit you want instead")
    return rows.release(row)


def start(connection: Connection, release_id: int, manifest: Manifest) -> Release:
    """Move a building, retired or draining release to starting. Raises IllegalTransition, ReleaseNotFound."""
    release = get(connection, release_id)
    check_release_move(release.state, ReleaseState.STARTING)
    return _move(connection, release, ReleaseState.STARTING, manifest=rows.manifest_text(manifest))


def activate(connection: Connection, release_id: int, now: datetime) -> Release:
    """Make a release live, the one before it on its branch draining, and its domains the app's.

    What serves of the one before stands by; what stood by until now drains, so one release of a branch does at most.
    A draining release goes on with the web instances that it has.

    Raises DomainTaken, IllegalTransition, ReleaseNotFound.
    """
    release = get(connection, release_id)
    check_release_move(release.state, ReleaseState.LIVE)
    if release.state is ReleaseState.DRAINING:
        _take_back(connection, release, now)
    for instance in instances.standing_by(connection, release.app, release.branch):
        instances.move(connection, instance.id, InstanceState.DRAINING, now)
    old = live(connection, release.app).get(release.branch)
    if old is not None:
        _move(connection, old, ReleaseState.DRAINING)
        for instance in instances.of(connection, old.id):
            serves = instance.type == WEB and instance.state is InstanceState.HEALTHY
            instances.move(connection, instance.id, InstanceState.STANDBY if serves else InstanceState.DRAINING, now)
        if old.activated_at is not None:
            # The clock may have been set back; what is before what must hold all the same.
            now = max(now, old.activated_at + tables.MILLISECOND)
    for instance in instances.of(connection, release.id):
        if instance.state is InstanceState.STARTING:
            instances.move(connection, instance.id, InstanceState.HEALTHY, now)
    app = apps.get(connection, release.app)
    if app.default_branch is None:
        apps.set_default_branch(connection, release.app, release.branch)
    if app.default_branch in (None, release.branch):
        domains = release.manifest.domains if release.manifest else ()
        apps.replace_domains(connection, release.app, domains)
    return _move(connection, release, ReleaseState.LIVE, activated_at=now, reason=None)


def drain(connection: Connection, release_id: int, now: datetime) -> Release:
    """Move a live release to draining, with its instances. Raises IllegalTransition, ReleaseNotFound."""
    release = get(connection, release_id)
    check_release_move(release.state, ReleaseState.DRAINING)
    for instance in instances.of(connection, release.id):
        instances.move(connection, instance.id, InstanceState.DRAINING, now)
    return _move(connection, release, ReleaseState.DRAINING)


def _take_back(connection: Connection, release: Release, now: datetime) -> None:
    for instance in instances.of(connection, release.id):
        if instance.type == WEB and instance.state in (InstanceState.STANDBY, InstanceState.DRAINING):
            instances.move(connection, instance.id, InstanceState.HEALTHY, now)


def fail(connection: Connection, release_id: int, reason: str) -> Release:
    """Move a release to failed, or to retired if it was live once.

    Raises IllegalTransition, ReleaseNotFound.
    """
    release = get(connection, release_id)
    if release.activated_at is None:
        check_release_move(release.state, ReleaseState.FAILED)
        return _move(connection, release, ReleaseState.FAILED, reason=reason)
    check_release_move(release.state, ReleaseState.RETIRED)
    return _move(connection, release, ReleaseState.RETIRED)


def note_reason(connection: Connection, release_id: int, reason: str) -> None:
    """Note why a release that was live is not to be gone back to. Raises ReleaseNotFound."""
    get(connection, release_id)
    connection.execute(update(_T).where(_T.c.id == release_id).values(reason=reason))


def retire(connection: Connection, release_id: int) -> Release:
    """Move a draining release to retired. Raises IllegalTransition, ReleaseNotFound."""
    release = get(connection, release_id)
    if release.state is not ReleaseState.DRAINING:
        raise IllegalTransition(f"a {release.state.value} release cannot be retired: only a draining one can")
    return _move(connection, release, ReleaseState.RETIRED)


def _move(connection: Connection, release: Release, state: ReleaseState, **values: object) -> Release:
    connection.execute(update(_T).where(_T.c.id == release.id).values(state=state.value, **values))
    return get(connection, release.id)
