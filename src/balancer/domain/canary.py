"""Canaries: what was pushed to the default branch, and is given to a part of the visitors before all of them see it.

Invariants:
    * A canary is a release of a branch of its own, which goes live with its rollout and goes with the split of that.
    * As long as it stands, the default branch's ref points at its commit: it was accepted.
"""

from dataclasses import dataclass

from balancer.domain.release import Release
from balancer.domain.rollout import ENDED, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A canary that is live."""

    release: Release
    rollout: Rollout
    promoted: bool
    """Whether everybody sees it, in the default branch's place, until that has its release."""

    @property
    def stands(self) -> bool:
        """Whether nothing and nobody has taken it back."""
        return self.promoted or self.rollout.state not in ENDED
