"""Processes that outlive the daemon: started in their own session, found again, watched by pidfd.

Invariants:
    * A process is known by boot id, pid and start time together, so a stranger with a reused pid is never signalled.
    * What is started here writes to files and holds no pipe of ours: the daemon's death does not touch it.
    * When the leader of a group ends, what is left of its group is killed.

Used by the supervisor of instances, and for HAProxy and the ledger.
"""

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from balancer.domain.release import ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended."""

    status: int | None
    """Exit status, the negated number of the signal that killed it, or None: not our child, so nobody told us."""

    def __str__(self) -> str:
        match self.status:
            case None:
                return "ended"
            case int(status) if status < 0:
                return f"was killed by {signal.Signals(-status).name}"
            case status:
                return f"exited with status {status}"


class Process:
    """A process that was there when this value was made; `wait` tells when it is not."""

    def __init__(self, identity: ProcessId, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.id = identity
        self._pidfd = pidfd
        self._child = child
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(pidfd, self._on_end)

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        output: Path,
        keep: Sequence[int] = (),
    ) -> Self:
        """Start `command` in a session of its own, its output appended to the file `output`.

        `keep` are file descriptors that it inherits under their numbers. Raises OSError.
        """
        with output.open("ab") as log:
            child = subprocess.Popen(  # not waited for here: the pidfd tells
                list(command),
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(keep),
                start_new_session=True,
            )
        pidfd = os.pidfd_open(child.pid)
        return cls(identify(child.pid), pidfd, child)

    @classmethod
    def adopt(cls, identity: ProcessId) -> Self | None:
        """Return the process that `identity` names, None where it is gone."""
        if identity.boot_id != boot_id():
            return None
        try:
            pidfd = os.pidfd_open(identity.pid)
        except OSError:
            return None
        # The descriptor is open, so what /proc says from here on is of the process that it holds.
        try:
            same = identify(identity.pid) == identity and not _is_zombie(identity.pid)
        except ProcessLookupError:
            same = False
        if not same:
            os.close(pidfd)
            return None
        return cls(identity, pidfd, None)

    @property
    def running(self) -> bool:
        """Whether it had not ended when the event loop last looked."""
        return not self._ended.done()

    async def wait(self) -> Ending:
        """Return how it ended, once it has; cancelling this leaves the process alone."""
        return await asyncio.shield(self._ended)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its group, unless it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.id.pid, number)

    async def stop(self, grace_seconds: float) -> Ending:
        """SIGTERM to the group, after `grace_seconds` SIGKILL; return how it ended."""
        self.signal_group(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        self.signal_group(signal.SIGKILL)
        return await self.wait()

    def forget(self) -> None:
        """Watch it no longer; it runs on."""
        if self.running:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._ended.cancel()
            if self._child is not None:
                self._child.returncode = 0  # else Popen warns that its child still runs, which is what is wanted

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._kill_rest_of_group()
        status = self._child.wait() if self._child else None
        os.close(self._pidfd)
        if not self._ended.done():
            self._ended.set_result(Ending(status=status))

    def _kill_rest_of_group(self) -> None:
        # Our own child is a zombie until `wait`, so its pid is not reused. An adopted one is reaped by init: where a
        # process has its pid again the group is a stranger's, and while a group has members its id is not given out.
        if self._child is None:
            with contextlib.suppress(ProcessLookupError):
                if identify(self.id.pid) != self.id:
                    return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.id.pid, signal.SIGKILL)


@functools.cache
def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId:
    """Return the identity of the process that has `pid` now. Raises ProcessLookupError."""
    return ProcessId(boot_id=boot_id(), pid=pid, start_ticks=int(_stat(pid)[19]))


def find(name: str, value: str) -> ProcessId | None:
    """Return the oldest process that was started with `name=value` in its environment, as far as we may look."""
    needle = f"{name}={value}".encode()
    found: list[ProcessId] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            pid = int(entry.name)
            leads_session = os.getsid(pid) == pid
            if leads_session and needle in (entry / "environ").read_bytes().split(b"\0"):
                found.append(identify(pid))
    return min(found, key=lambda process: process.start_ticks, default=None)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; the second, a name, may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return text.rpartition(")")[2].split()


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[0] in "ZX"
