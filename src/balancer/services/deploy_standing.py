"""How deploys stand: those that are under way, and those that failed lately, for who was not there when git said so.

Invariants:
    * A failed deploy is shown until its branch is pushed again, and for a day at most.
    * All of it is plain, for the pages.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from balancer.domain.app import AppName, BranchName
from balancer.domain.release import Release, ReleaseState

# A day: who comes in the morning sees what failed in the evening. What nobody has pushed again since is left so.
SHOWN_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployStanding:
    """A deploy that is under way."""

    branch: BranchName
    release: int
    state: ReleaseState
    subject: str
    author: str
    since: datetime
    step: str
    """The latest step that its log names; empty where it names none yet."""

    @classmethod
    def of(cls, release: Release, step: str) -> Self:
        """Return how the deploy of a release stands that is at this step of its log."""
        return cls(
            branch=release.branch,
            release=release.number,
            state=release.state,
            subject=release.subject,
            author=release.author,
            since=release.created_at,
            step=step,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedDeploy:
    """The last deploy of a branch, which failed; what was live before is live still."""

    branch: BranchName
    release: int
    subject: str
    author: str
    since: datetime
    """When it was begun."""
    reason: str
    """Why, in a line."""

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return the failed deploy of a release."""
        return cls(
            branch=release.branch,
            release=release.number,
            subject=release.subject,
            author=release.author,
            since=release.created_at,
            reason=in_a_line(release.reason or ""),
        )


def in_a_line(reason: str) -> str:
    """Return why a deploy failed in one line: where the first announces what a log said last, with that."""
    first, *others = reason.strip().splitlines() or [""]
    return f"{first} {others[-1].strip()}" if first.endswith(":") and others else first


def failed_deploys(releases: Iterable[Release]) -> Mapping[AppName, tuple[FailedDeploy, ...]]:
    """Return these failed releases by their app, in the same order."""
    found: dict[AppName, list[FailedDeploy]] = defaultdict(list)
    for release in releases:
        found[release.app].append(FailedDeploy.of(release))
    return {app: tuple(failed) for app, failed in found.items()}


def is_under_way(release: Release) -> bool:
    """Tell whether a release is on its way to live."""
    return release.state in (ReleaseState.BUILDING, ReleaseState.STARTING)


def last_step(log: str) -> str:
    """Return the latest step that the log of a deploy names, without its arrow; empty where it names none."""
    steps = [line for line in log.splitlines() if line.startswith("-----> ")]
    return steps[-1].removeprefix("-----> ") if steps else ""
