"""What a build may take of the machine, so that it does not starve what serves.

Invariants:
    * A build yields: it gets the processor and the disk that nothing else wants.
    * A process of a build that asks for more memory than it may have is refused it.
    * Where control groups can be had, all processes of a build together have no more than that, and so many threads.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from balancer import logs
from balancer.runner.cgroups import Cgroup, Cgroups
from balancer.runner.scopes import Scopes

log = logs.named("build")
# 10: with both cores wanted by others a build has a tenth of them, and all that nobody wants.
_NICE = 10
# 4096 threads: a parallel build on a large machine has hundreds, a build that forks without end has them at once.
_TASKS = 4096
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of every command of a build; a tool that the machine lacks bounds nothing."""

    memory_mb: int
    groups: Cgroups | Scopes | None = None
    """How control groups are made; None: each process is bounded, and not all of them together."""

    @classmethod
    def find(cls, data_dir: Path, *, memory_mb: int) -> "Bounds":
        """Return the bounds that this machine can keep."""
        groups: Cgroups | Scopes | None = Scopes.find()
        if groups is None:
            made = Cgroups.find(data_dir)
            groups = made if made.places else None
        by = "systemd" if isinstance(groups, Scopes) else sorted(groups.places) if groups else None
        log.info("build.bounds", memory_mb=memory_mb, groups=by)
        return cls(memory_mb=memory_mb, groups=groups)

    @property
    def of_memory(self) -> str:
        """Who may have how much memory, for a person."""
        return f"{'a process of a build' if self.groups is None else 'a build'} may have {self.memory_mb} MB"

    @contextlib.asynccontextmanager
    async def group(self, name: str) -> AsyncIterator[Cgroup | None]:
        """Give the control group of a command, where we make it ourselves; all in it ends with the block."""
        if not isinstance(self.groups, Cgroups):
            yield None
            return
        try:
            made = self.groups.group(name, memory_bytes=self.memory_mb * _MEGABYTE, tasks=_TASKS)
        except OSError as error:
            log.warning("build.group.failed", error=error)
            yield None
            return
        try:
            yield made
        finally:
            await asyncio.to_thread(made.end)

    def sweep(self) -> None:
        """End the groups of a daemon before this one."""
        if isinstance(self.groups, Cgroups):
            self.groups.sweep()

    def around(self, command: Sequence[str], group: Cgroup | None = None) -> list[str]:
        """Return a command that runs another one within these bounds."""
        # RLIMIT_DATA and not RLIMIT_AS: node, Go and Java reserve address space by the gigabyte and use little of it.
        tools = (
            ("nice", "-n", str(_NICE)),
            ("ionice", "-t", "-c", "3"),  # idle; -t: go on where the kernel does not allow it
            ("prlimit", f"--data={self.memory_mb * _MEGABYTE}"),
        )
        bounded = [*(word for tool in tools if shutil.which(tool[0]) for word in tool), *command]
        if isinstance(self.groups, Scopes):
            return self.groups.around(bounded, memory_bytes=self.memory_mb * _MEGABYTE, tasks=_TASKS)
        return group.around(bounded) if group else bounded
