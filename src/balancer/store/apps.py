"""Apps, their domains and their branches in the registry: each function a part of one transaction.

Invariants:
    * A domain is one app's.
    * Two branches of an app never have the same slug.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from balancer.domain.app import App, AppMode, AppName, BranchName, Domain, PreviewKey
from balancer.domain.manifest import ProcessType
from balancer.errors import AppExists, AppNotFound, Conflict, DomainTaken, InvalidName
from balancer.store import rows, tables
from balancer.store.rows import AnyRow

_DOMAINS = select(tables.domains).order_by(tables.domains.c.position)


def add(connection: Connection, name: AppName, default_branch: BranchName | None, now: datetime) -> App:
    """Add an app. Raises AppExists."""
    if connection.scalar(select(tables.apps.c.name).where(tables.apps.c.name == name)):
        raise AppExists(name)
    connection.execute(
        insert(tables.apps).values(name=name, default_branch=default_branch, created_at=now),
    )
    return get(connection, name)


def all_apps(connection: Connection, make: Callable[[AnyRow, tuple[AnyRow, ...]], App] = rows.app) -> tuple[App, ...]:
    """Return every app, by name; `make` gives the app of a row and of its domains."""
    domains = defaultdict(list)
    for domain in connection.execute(_DOMAINS):
        domains[domain.app].append(domain)
    found = connection.execute(select(tables.apps).order_by(tables.apps.c.name))
    return tuple(make(row, tuple(domains.get(row.name, ()))) for row in found)


def get(connection: Connection, name: AppName) -> App:
    """Return one app. Raises AppNotFound."""
    row = connection.execute(select(tables.apps).where(tables.apps.c.name == name)).one_or_none()
    if row is None:
        raise AppNotFound(name)
    return rows.app(row, connection.execute(_DOMAINS.where(tables.domains.c.app == name)))


def add_branch(connection: Connection, app: AppName, branch: BranchName) -> None:
    """Add a branch that may be there already. Raises InvalidName where its slug is another's."""
    of_app = select(tables.branches.c.name).where(tables.branches.c.app == app)
    owner = connection.scalar(of_app.where(tables.branches.c.slug == branch.slug))
    if owner is None:
        connection.execute(insert(tables.branches).values(app=app, name=branch, slug=branch.slug))
    elif owner != branch:
        raise InvalidName(
            f"the branch {branch} would have the same address as the branch {owner} of {app}, {branch.slug}; rename it"
        )


def set_default_branch(connection: Connection, app: AppName, branch: BranchName) -> None:
    """Make `branch` what visitors see outside a split; what was promoted is so no longer."""
    of_app = update(tables.apps).where(tables.apps.c.name == app)
    connection.execute(of_app.values(default_branch=branch, promoted=None))


def promote(connection: Connection, app: AppName, branch: BranchName | None) -> None:
    """Let visitors see `branch` in the default branch's place; None: the default branch again."""
    connection.execute(update(tables.apps).where(tables.apps.c.name == app).values(promoted=branch))


def set_preview_key(connection: Connection, app: AppName, key: PreviewKey | None) -> App:
    """Let a key show branches of an app, in the place of the one before. Raises AppNotFound."""
    get(connection, app)
    connection.execute(update(tables.apps).where(tables.apps.c.name == app).values(preview_key=key))
    return get(connection, app)


def remove(connection: Connection, name: AppName) -> None:
    """Remove an app with all that is its own. Raises AppNotFound, Conflict while an instance of it is not stopped."""
    get(connection, name)
    of_app = select(tables.releases.c.id).where(tables.releases.c.app == name)
    running = select(tables.instances.c.id).where(tables.instances.c.release_id.in_(of_app), tables.holds_port)
    if connection.execute(running.limit(1)).first():
        raise Conflict(f"instances of {name} still run; stop it with `balancer stop {name}`, and try again")
    connection.execute(delete(tables.instances).where(tables.instances.c.release_id.in_(of_app)))
    its_splits = select(tables.splits.c.id).where(tables.splits.c.app == name)
    its_rollouts = select(tables.rollouts.c.id).where(tables.rollouts.c.app == name)
    connection.execute(delete(tables.decisions).where(tables.decisions.c.rollout.in_(its_rollouts)))
    connection.execute(delete(tables.rollouts).where(tables.rollouts.c.app == name))
    its_bandits = select(tables.bandits.c.id).where(tables.bandits.c.app == name)
    connection.execute(delete(tables.bandit_decisions).where(tables.bandit_decisions.c.bandit.in_(its_bandits)))
    connection.execute(delete(tables.bandits).where(tables.bandits.c.app == name))
    for of_split in (tables.phases, tables.looks, tables.reports):
        connection.execute(delete(of_split).where(of_split.c.split.in_(its_splits)))
    for table in (tables.splits, tables.releases, tables.branches, tables.domains, tables.config):
        connection.execute(delete(table).where(table.c.app == name))
    for table in (tables.formations, tables.cron_runs, tables.sources, tables.metrics):
        connection.execute(delete(table).where(table.c.app == name))
    connection.execute(delete(tables.apps).where(tables.apps.c.name == name))


def set_mode(connection: Connection, app: AppName, mode: AppMode) -> App:
    """Say what visitors of an app get. Raises AppNotFound."""
    get(connection, app)
    connection.execute(update(tables.apps).where(tables.apps.c.name == app).values(mode=mode.value))
    return get(connection, app)


def formation(connection: Connection, app: AppName) -> dict[ProcessType, int]:
    """Return how many instances the operator asked for, by process type. Raises AppNotFound."""
    get(connection, app)
    of_app = select(tables.formations.c.type, tables.formations.c.count).where(tables.formations.c.app == app)
    return {ProcessType(process): count for process, count in connection.execute(of_app.order_by("type"))}


def set_formation(connection: Connection, app: AppName, counts: Mapping[ProcessType, int]) -> dict[ProcessType, int]:
    """Ask for so many instances of these process types, return all that was asked for. Raises AppNotFound."""
    get(connection, app)
    table = tables.formations
    for process, count in counts.items():
        connection.execute(delete(table).where(table.c.app == app, table.c.type == process))
        connection.execute(insert(table).values(app=app, type=process, count=count))
    return formation(connection, app)


def replace_domains(connection: Connection, app: AppName, domains: Sequence[Domain]) -> None:
    """Make `domains` those of the app, in this order. Raises DomainTaken."""
    hosts = list(dict.fromkeys(domains))
    taken = select(tables.domains).where(tables.domains.c.host.in_(hosts), tables.domains.c.app != app)
    if other := connection.execute(taken.order_by(tables.domains.c.host)).first():
        raise DomainTaken(other.host, other.app)
    connection.execute(delete(tables.domains).where(tables.domains.c.app == app))
    if hosts:
        connection.execute(
            insert(tables.domains),
            [{"host": host, "app": app, "position": position} for position, host in enumerate(hosts)],
        )
