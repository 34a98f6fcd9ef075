"""Which logs are to be kept short: those that somebody may be writing to just now.

Invariant: the log of an instance is among them from the moment it is started, before it can have become long.
"""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from balancer.errors import BalancerError
from balancer.services.interfaces import Supervisor, Workspace
from balancer.services.registry import Registry

# 2 s: only logs of builds, and of instances that a daemon before this one started, are found by looking.
_SEARCH_SECONDS = 2.0


class KeptLogs:
    """The logs of builds and instances of all releases that are not over, and `others`."""

    def __init__(
        self, registry: Registry, workspace: Workspace, supervisor: Supervisor, others: Iterable[Path]
    ) -> None:
        self._registry = registry
        self._workspace = workspace
        self._supervisor = supervisor
        self._others = frozenset(others)
        self._found: frozenset[Path] = frozenset()
        self._searched_at = float("-inf")

    async def files(self) -> frozenset[Path]:
        """Return the files."""
        if time.monotonic() - self._searched_at >= _SEARCH_SECONDS:
            with contextlib.suppress(BalancerError):  # a registry that does not answer is no reason to let logs grow
                releases = (await self._registry.snapshot()).releases
                self._found = frozenset(path for each in releases for path in self._workspace.logs(each).values())
                self._searched_at = time.monotonic()
        return self._found | self._others | self._supervisor.logs()
