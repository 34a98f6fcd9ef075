"""The handover from a daemon to the code that replaces it: the same process executes itself again.

Invariants:
    * The process stays: its pid, its children, and the sockets that it listens on, so that no connection is refused.
    * So does its lock on the data directory: between the two codes no other daemon gets it.
    * A code that cannot start is not executed.
    * No signal is lost: those that come in between wait until the new code listens to them.

Used by `daemon`.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

from balancer.errors import UpgradeRefused

# `{"admin": 7, "site": [8, 9], "lock": 3}`, the numbers of file descriptors
_VARIABLE = "BALANCER_HANDED_OVER"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# 60 s: an import takes two, on a busy machine some more.
_CHECK_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What goes from one code to the next."""

    admin: socket.socket | None = None
    """Where the admin API listens."""
    site: Sequence[socket.socket] = ()
    """Where the site listens; HAProxy has these too."""
    lock: int | None = None
    """The descriptor of the lock on the data directory."""

    @classmethod
    def received(cls) -> Self:
        """Return what the code before us handed over; nothing where this is a start like any other."""
        numbers = json.loads(os.environ.pop(_VARIABLE, "{}"))
        admin = socket.socket(fileno=numbers["admin"]) if "admin" in numbers else None
        site = tuple(socket.socket(fileno=number) for number in numbers.get("site", ()))
        found = cls(admin=admin, site=site, lock=numbers.get("lock"))
        for number in found._descriptors():
            os.set_inheritable(number, False)
        return found

    def execute(self) -> NoReturn:
        """Become what is installed now, with the arguments that we were started with."""
        assert self.admin is not None
        assert self.lock is not None
        for number in self._descriptors():
            os.set_inheritable(number, True)
        numbers = {
            "admin": self.admin.fileno(),
            "site": [each.fileno() for each in self.site],
            "lock": self.lock,
        }
        environment = {**os.environ, _VARIABLE: json.dumps(numbers)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves

    def _descriptors(self) -> tuple[int, ...]:
        sockets = (*([self.admin] if self.admin else []), *self.site)
        return (*(each.fileno() for each in sockets), *([] if self.lock is None else [self.lock]))


def hold_signals() -> None:
    """Let the signals that we listen to wait; what is executed then finds them waiting."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def release_signals() -> None:
    """Let the signals come that waited; call it when someone listens to them."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


async def installed_version() -> str:
    """Return the version of the code that is installed now. Raises UpgradeRefused where that cannot start."""
    program = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]
    await _said_by([sys.executable, "-P", "-c", "import balancer.daemon"])
    return (await _said_by([*program, "--version"])).removeprefix("balancer").strip()


async def _said_by(command: Sequence[str]) -> str:
    """Return what a command prints. Raises UpgradeRefused where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise UpgradeRefused(f"it did not start within {_CHECK_TIMEOUT_SECONDS:g} s") from None
    said = output.decode(errors="replace").strip()
    if process.returncode:
        raise UpgradeRefused(said.rpartition("\n")[2] or f"it ended with status {process.returncode}")
    return said
