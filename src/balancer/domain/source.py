"""Sources: from where an app is pulled when its provider calls.

Invariant: what is fetched is this URL, whatever a call says.
"""

from dataclasses import dataclass, field
from datetime import datetime

from balancer.domain.app import AppName, BranchName
from balancer.domain.remote import RemoteUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSource:
    """The repository elsewhere that an app follows."""

    app: AppName
    remote: RemoteUrl
    secret: str = field(repr=False)
    """What the provider proves with that a call is its own."""
    branches: tuple[BranchName, ...]
    """Those that are followed; none: all."""
    created_at: datetime

    def follows(self, branch: BranchName) -> bool:
        """Tell whether a push to a branch is deployed."""
        return not self.branches or branch in self.branches
