"""Merges: what people are told to do where a winner cannot become the default branch's release by itself.

Invariant: typed as they stand in a clone whose remote is called `balancer`, the commands end in a push that makes the
default branch both what it was and what has won, or in git's own words why it cannot be done so.
"""

from dataclasses import dataclass
from typing import Self

from balancer.domain.app import BranchName, Commit
from balancer.domain.push_mode import Mode
from balancer.domain.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A winner that lacks commits of the default branch."""

    default: BranchName
    winner: BranchName
    commit: Commit
    """The winner's."""
    at_once: bool = False
    """Whether the push has to ask for it: the manifest wants a canary, and beside a winner none can begin."""

    @classmethod
    def of(cls, winner: Release, live: Release) -> Self:
        """Return the merge of a winner into what is live on the default branch."""
        at_once = any(each.manifest and each.manifest.rollout.mode is Mode.CANARY for each in (live, winner))
        return cls(default=live.branch, winner=winner.branch, commit=winner.commit, at_once=at_once)

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type, in this order."""
        return (
            "git fetch balancer",
            f"git checkout {self.default}",
            f"git merge --ff-only balancer/{self.default}",  # a clone may be behind what is live
            f"git merge {self.commit.short}",
            f"git push {'-o rollout=none ' if self.at_once else ''}balancer {self.default}",
        )

    def __str__(self) -> str:
        """Say what to do, in one line that can be typed."""
        return (
            f"{self.default} has commits that {self.winner} has not, so it is not moved; visitors see {self.winner} in "
            f"its place until you have merged: {' && '.join(self.commands)}"
        )
