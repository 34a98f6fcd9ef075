"""What a build may take of the machine, so that it does not starve what serves.

Invariants:
    * A build yields: it gets the processor and the disk that nothing else wants.
    * A process of a build that asks for more memory than it may have is refused it.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

# 10: with both cores wanted by others a build has a tenth of them, and all that nobody wants.
_NICE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of every process of a build; a tool that the machine lacks bounds nothing."""

    memory_mb: int

    def around(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs another one within these bounds."""
        # RLIMIT_DATA and not RLIMIT_AS: node, Go and Java reserve address space by the gigabyte and use little of it.
        tools = (
            ("nice", "-n", str(_NICE)),
            ("ionice", "-t", "-c", "3"),  # idle; -t: go on where the kernel does not allow it
            ("prlimit", f"--data={self.memory_mb * 1_000_000}"),
        )
        return [*(word for tool in tools if shutil.which(tool[0]) for word in tool), *command]
