"""Values of the domain with everything filled in that a test does not care for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from balancer.domain.app import App, AppName, BranchName, Commit, Domain
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.split import Phase, Split, SplitId, SplitState

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOCALHOST = Domain("localhost")
SHOP, BLOG = AppName("shop"), AppName("blog")
MASTER, TEST = BranchName("master"), BranchName("test")


def app(name: str = "shop", *, default: str | None = "master", domains: tuple[str, ...] = ()) -> App:
    """Return an app."""
    return App(
        name=AppName(name),
        default_branch=BranchName(default) if default else None,
        domains=tuple(map(Domain, domains)),
        created_at=START,
    )


def release(
    number: int, branch: str = "master", *, app: str = "shop", state: ReleaseState = ReleaseState.LIVE, **values: Any
) -> Release:
    """Return a release whose id is its number."""
    made: dict[str, Any] = {
        "manifest": Manifest(source=Source.PROCFILE, processes={WEB: "serve"}),
        "commit": Commit(f"{number:040x}"),
        "subject": "Sell",
        "author": "Ada",
        "created_at": START,
        "activated_at": START if state in (ReleaseState.LIVE, ReleaseState.DRAINING) else None,
        "reason": None,
    }
    return Release(
        id=number,
        number=number,
        tree=number,
        app=AppName(app),
        branch=BranchName(branch),
        state=state,
        **{**made, **values},
    )


def instance(
    number: int, release: Release | int, state: InstanceState = InstanceState.HEALTHY, **values: Any
) -> Instance:
    """Return an instance of a release, on the port 20000 + its id."""
    made: dict[str, Any] = {
        "index": 1,
        "port": 20000 + number,
        "process": None,
        "draining_since": START if state is InstanceState.DRAINING else None,
        "standby_since": START if state is InstanceState.STANDBY else None,
    }
    release_id = release if isinstance(release, int) else release.id
    return Instance(id=number, release_id=release_id, state=state, **{**made, **values})


def split(*phases: Mapping[str, int], number: int = 1, app: str = "shop", control: str | None = None) -> Split:
    """Return a running split that went through these weights; the control is the first branch, unless named."""
    return Split(
        id=SplitId(f"s{number}"),
        app=AppName(app),
        control=BranchName(control or next(iter(phases[-1]))),
        phases=tuple(
            Phase(number=n, weights={BranchName(name): w for name, w in weights.items()}, started_at=START)
            for n, weights in enumerate(phases, 1)
        ),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )
