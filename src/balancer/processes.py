"""Processes that outlive the daemon: started in their own session, found again, watched by pidfd.

Invariants:
    * A process is known by boot id, pid and start time together, so a stranger with a reused pid is never signalled.
    * What is started here writes to files and holds no pipe of ours: the daemon's death does not touch it.
    * When the leader of a group ends, what is left of its group is killed; with a mark also what left the group.

Used by the supervisor of instances, and for HAProxy and the ledger.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from balancer.domain.release import ProcessId
from balancer.process_table import (
    Mark,
    age_seconds,
    boot_id,
    family,
    find,
    identify,
    is_zombie,
    kill_family,
    kill_marked,
    usage,
)

__all__ = ["Ending", "Process", "age_seconds", "boot_id", "find", "identify", "kill_family", "kill_marked", "usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended."""

    status: int | None
    """Exit status, the negated number of the signal that killed it, or None: not our child, so nobody told us."""
    left: int = 0
    """How many processes it left behind; they were killed."""

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

    def __init__(
        self, identity: ProcessId, pidfd: int, child: subprocess.Popen[bytes] | None, mark: Mark | None
    ) -> None:
        self.id = identity
        self._pidfd = pidfd
        self._child = child
        self._mark = mark
        self._clearing: asyncio.Task[None] | None = None
        """Kills what a leader with a mark left; there once the leader has ended."""
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
        mark: Mark | None = None,
    ) -> Self:
        """Start `command` in a session of its own, its output appended to the file `output`.

        `keep` are file descriptors that it inherits under their numbers, `mark` a variable of `environment` that
        makes all that carry it end with the leader. Raises OSError.
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
        return cls(identify(child.pid), pidfd, child, mark)

    @classmethod
    def adopt(cls, identity: ProcessId, mark: Mark | None = None) -> Self | None:
        """Return the process that `identity` names, None where it is gone; `mark` as in `spawn`."""
        if identity.boot_id != boot_id():
            return None
        try:
            pidfd = os.pidfd_open(identity.pid)
        except OSError:
            return None
        # The descriptor is open, so what /proc says from here on is of the process that it holds.
        try:
            same = identify(identity.pid) == identity and not is_zombie(identity.pid)
        except ProcessLookupError:
            same = False
        if not same:
            _reap(pidfd)
            os.close(pidfd)
            return None
        return cls(identity, pidfd, None, mark)

    @property
    def running(self) -> bool:
        """Whether it, or something that it left behind, had not ended when the event loop last looked."""
        return not self._ended.done()

    @property
    def bereft(self) -> bool:
        """Whether it has ended, and only what it left behind has not."""
        return self.running and self._clearing is not None

    def family(self) -> frozenset[ProcessId]:
        """Return the process, its session and its group, and all that carry its mark; reads the whole of /proc."""
        return family(self.id, self._mark)

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
        if self._mark is None:
            self._kill_rest_of_group()
            self._finish(left=0)
        else:
            self._clearing = asyncio.ensure_future(self._clear())

    async def _clear(self) -> None:
        # Our own child stays a zombie meanwhile, so that its pid and the id of its group are nobody else's.
        self._finish(left=await asyncio.to_thread(kill_family, self.id, self._mark))

    def _finish(self, *, left: int) -> None:
        if self._ended.done():  # forgotten in the meantime
            return
        status = self._child.wait() if self._child else _reap(self._pidfd)
        os.close(self._pidfd)
        self._ended.set_result(Ending(status=status, left=left))

    def _kill_rest_of_group(self) -> None:
        # Our own child is a zombie until `wait`, so its pid is not reused. An adopted one init may reap: where a
        # process has its pid again the group is a stranger's, and while a group has members its id is not given out.
        if self._child is None:
            with contextlib.suppress(ProcessLookupError):
                if identify(self.id.pid) != self.id:
                    return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.id.pid, signal.SIGKILL)


def _reap(pidfd: int) -> int | None:
    """Return how a child of ours ended, as Popen says it; None where it has not, or somebody else is its parent.

    A daemon that executed itself again has children that no Popen of its own knows.
    """
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
