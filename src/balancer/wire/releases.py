"""Releases and branches, and the progress of what changes them."""

from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.merge import Merge
from balancer.domain.release import Release
from balancer.wire.apps import AppBody
from balancer.wire.bandits import BanditBody
from balancer.wire.body import Body, ErrorBody
from balancer.wire.rollouts import RolloutBody
from balancer.wire.splits import SplitBody


class ReleaseBody(Body):
    """A release."""

    number: int
    branch: str
    commit: str
    state: str
    subject: str
    author: str
    created_at: datetime
    activated_at: datetime | None
    reason: str | None

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return the body of a release."""
        return cls(
            number=release.number,
            branch=release.branch,
            commit=release.commit,
            state=release.state.value,
            subject=release.subject,
            author=release.author,
            created_at=release.created_at,
            activated_at=release.activated_at,
            reason=release.reason,
        )


class BranchBody(Body):
    """A live branch."""

    branch: str
    release: int
    commit: str
    default: bool = Field(description="Whether visitors see it outside a split.")
    weight: float | None = Field(description="Its share of the running split, in percent; null outside one.")
    url: str
    promoted: bool = Field(
        default=False, description="Whether it has won a split, and visitors see it in the default branch's place."
    )
    merge: list[str] = Field(
        default=[],
        description="Of such a winner that lacks commits of the default branch: what to type, in a clone whose remote "
        "is called `balancer`, so that it becomes its release.",
    )

    @classmethod
    def of(
        cls,
        release: Release,
        *,
        default: bool,
        weight: int | None,
        url: str,
        promoted: bool = False,
        merge: Merge | None = None,
    ) -> Self:
        """Return the body of the branch that a live release is of."""
        return cls(
            branch=release.branch,
            release=release.number,
            commit=release.commit,
            default=default,
            weight=None if weight is None else weight / 100,
            url=url,
            promoted=promoted,
            merge=list(merge.commands) if merge else [],
        )


class Return(Body):
    """Which release to go back to."""

    branch: str | None = Field(default=None, description="The default branch where it is not named.")
    release: int | None = Field(default=None, description="Number of a release; else the one before.")


class Progress(Body):
    """One line of a stream: something that happened, or at the end what came of it or the error."""

    line: str | None = None
    release: ReleaseBody | None = None
    formation: dict[str, int] | None = None
    app: AppBody | None = None
    config: dict[str, str] | None = None
    split: SplitBody | None = None
    rollout: RolloutBody | None = None
    bandit: BanditBody | None = None
    error: ErrorBody | None = None


class CancelledBody(Body):
    """A deploy that was cancelled."""

    app: str
    branch: str
