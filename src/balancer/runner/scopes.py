"""Scopes of systemd, for builds: a control group each, which systemd makes, bounds and removes.

Invariant: nothing of how we reach systemd is in the environment of what runs in a scope.

Why not by hand below the service of the daemon: docs/decisions/0008-builds-in-scopes.md.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# There where systemd is what runs the machine, sd_booted(3).
_BOOTED = Path("/run/systemd/system")
# A tenth of what serves gets, where both want all; 100 is the weight of everybody else.
_CPU_WEIGHT = 10
# 5 s: an answer takes milliseconds, and a bus that does not answer must not hold up the start of the platform.
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Scopes:
    """How systemd is asked: the one of the machine for root, else that of our user."""

    runtime_dir: str | None
    """XDG_RUNTIME_DIR of our user; None: systemd of the machine is asked."""

    @classmethod
    def find(cls) -> Self | None:
        """Return how systemd is asked; None where it does not give us scopes, which is tried."""
        if not _BOOTED.is_dir():
            return None
        user = os.getuid()
        found = cls(None if user == 0 else os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
        try:
            done = subprocess.run(
                found.around(["true"], memory_bytes=100_000_000, tasks=10),
                capture_output=True,
                timeout=_ANSWER_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return found if done.returncode == 0 else None

    def around(self, command: list[str], *, memory_bytes: int, tasks: int) -> list[str]:
        """Return a command that runs another one in a scope of its own."""
        bounds = (
            f"MemoryMax={memory_bytes}",
            "MemorySwapMax=0",
            f"TasksMax={tasks}",
            f"CPUWeight={_CPU_WEIGHT}",
        )
        options = ["--scope", "--quiet", "--collect", *(word for bound in bounds for word in ("-p", bound)), "--"]
        if self.runtime_dir is None:
            return ["systemd-run", *options, *command]
        reached = ["env", f"XDG_RUNTIME_DIR={self.runtime_dir}", "systemd-run", "--user", *options]
        return [*reached, "env", "-u", "XDG_RUNTIME_DIR", *command]
