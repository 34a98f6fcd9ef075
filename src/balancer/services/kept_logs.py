"""Which logs are to be kept short: those that somebody may be writing to just now.

Invariant: the log of an instance is among them from the moment it is started, before it can have become long.
"""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from balancer.domain.release import Release, ReleaseState
from balancer.errors import BalancerError
from balancer.services.interfaces import Supervisor, Workspace
from balancer.services.registry import Registry

# 2 s: only logs of builds, and of instances that a daemon before this one started, are found by looking.
_SEARCH_SECONDS = 2.0
# 100: to look into the directories of thousands of releases every 2 s takes a tenth of a core; so it takes a minute.
_SEARCHED_AT_ONCE = 100
_UNFINISHED = {ReleaseState.BUILDING, ReleaseState.STARTING}


class KeptLogs:
    """The logs of builds and instances of all releases that are not over, and `others`."""

    def __init__(
        self, registry: Registry, workspace: Workspace, supervisor: Supervisor, others: Iterable[Path]
    ) -> None:
        self._registry = registry
        self._workspace = workspace
        self._supervisor = supervisor
        self._others = frozenset(others)
        self._found: dict[int, frozenset[Path]] = {}
        """The logs of each release, by its id."""
        self._waiting: list[int] = []
        """Releases that have not been looked into lately."""
        self._searched_at = float("-inf")

    async def files(self) -> frozenset[Path]:
        """Return the files."""
        if time.monotonic() - self._searched_at >= _SEARCH_SECONDS:
            with contextlib.suppress(BalancerError):  # a registry that does not answer is no reason to let logs grow
                self._search((await self._registry.snapshot()).releases)
                self._searched_at = time.monotonic()
        return self._others.union(self._supervisor.logs(), *self._found.values())

    def _search(self, releases: Iterable[Release]) -> None:
        """Look into the directories of releases: of new ones and those that are being built always, of others in turns.

        Where there are few, all of them are looked into each time.
        """
        there = {release.id: release for release in releases}
        if not self._waiting:
            self._waiting = list(there)
        turn, self._waiting = self._waiting[:_SEARCHED_AT_ONCE], self._waiting[_SEARCHED_AT_ONCE:]
        busy = (number for number, each in there.items() if each.state in _UNFINISHED or number not in self._found)
        looked_into = {*turn, *busy} & there.keys()
        found = {number: frozenset(self._workspace.logs(there[number]).values()) for number in looked_into}
        self._found = {number: found.get(number, self._found.get(number, frozenset())) for number in there}
