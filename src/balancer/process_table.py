"""The process table, as /proc shows it: who a process is, who belongs together, and how all of them end.

Invariants:
    * A process is known by boot id, pid and start time together.
    * Who is killed here is looked at again with its pidfd open: a stranger with a reused pid is never signalled.

Used by `processes`, which is what the rest of the tree imports.
"""

import contextlib
import functools
import os
import select
import signal
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from balancer.domain.release import ProcessId
from balancer.domain.usage import Usage

Mark = tuple[str, str]
"""A variable of the environment and its value, by which the processes that were started with it are found.

The value may also be followed by a colon and more.
"""
# 50: what forks between two looks is found by the next one; nothing forks faster than it is killed for so long.
_KILL_ROUNDS = 50
# 2: one that forks and ends, as a daemon does, can pass on behind a look: its child is not yet in the list of pids, and
# it is no longer there when its turn comes.
_EMPTY_LOOKS = 2
# 5 s for all that was killed to be gone: memory of many gigabytes takes a while to be given back.
_GONE_SECONDS = 5.0


@functools.cache
def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId:
    """Return the identity of the process that has `pid` now. Raises ProcessLookupError."""
    return _identity(pid, _stat(pid))


def age_seconds(process: ProcessId) -> float | None:
    """Return how long ago a process was started, whatever became of the clock; None where it was another boot."""
    if process.boot_id != boot_id():
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_ticks / os.sysconf("SC_CLK_TCK"))


def is_zombie(pid: int) -> bool:
    """Tell whether a process has ended, and nobody has asked how. Raises ProcessLookupError."""
    return _stat(pid)[0] in "ZX"


def find(name: str, value: str) -> ProcessId | None:
    """Return the oldest process that leads a session and was started with exactly `name=value` in its environment."""
    needle = f"{name}={value}".encode()
    found: list[ProcessId] = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == pid and needle in _environment(pid):
                found.append(identify(pid))
    return min(found, key=lambda process: process.start_ticks, default=None)


def family(leader: ProcessId | None, mark: Mark | None) -> frozenset[ProcessId]:
    """Return the processes of the leader's session and group, and those with `mark` in their environment.

    Zombies are left out, we ourselves too, and a group and session whose id a stranger has got by now.
    """
    of_group = str(leader.pid) if leader and _is_no_stranger(leader) else None
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            state, _, group, session, *_ = stat = _stat(pid)
            belongs = of_group in (group, session)
            if state not in "ZX" and pid != os.getpid() and (belongs or _carries(pid, mark)):
                found.add(_identity(pid, stat))
    return frozenset(found)


def kill_family(leader: ProcessId | None, mark: Mark | None) -> int:
    """SIGKILL all of `family`, and what it forks meanwhile, wait until it is gone, and return how many there were.

    Reads the whole of /proc, some 10 ms: for a thread of its own.
    """
    killed: set[ProcessId] = set()
    dying: list[int] = []
    found_nobody = 0
    try:
        for _ in range(_KILL_ROUNDS):
            there = family(leader, mark) - killed
            found_nobody = 0 if there else found_nobody + 1
            if found_nobody == _EMPTY_LOOKS:
                break
            dying += [pidfd for process in there if (pidfd := _kill(process)) is not None]
            killed |= there
        _wait_for(dying)
    finally:
        for pidfd in dying:
            os.close(pidfd)
    return len(killed)


def kill_marked(name: str, value: str) -> int:
    """SIGKILL whatever was started with `name=value` in its environment, and all that this started; return how many.

    What leads a session of its own is found like the rest; only what emptied its environment is not.
    """
    return kill_family(None, (name, value))


def usage(leaders: Collection[ProcessId]) -> dict[ProcessId, Usage]:
    """Return what each leader uses, together with the processes of its session and group; those that are gone miss.

    Reads the whole of /proc once, some 10 ms: for a thread of its own.
    """
    asked = {leader.pid: leader for leader in leaders if _is_no_stranger(leader)}
    cpu: dict[int, float] = defaultdict(float)
    private: dict[int, int] = defaultdict(int)
    shared: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    for pid in _pids():
        with contextlib.suppress(OSError):
            state, _, group, session, *_ = stat = _stat(pid)
            leader = next((each for each in (int(group), int(session)) if each in asked), None)
            if leader is None or state in "ZX":
                continue
            # utime, stime, cutime and cstime: fields 14 to 17 of /proc/PID/stat.
            cpu[leader] += sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
            resident, mapped = _memory_bytes(pid)
            private[leader] += resident - mapped
            shared[leader] = max(shared[leader], mapped)
            count[leader] += 1
    return {
        asked[pid]: Usage(cpu_seconds=cpu[pid], memory_bytes=private[pid] + shared[pid], processes=count[pid])
        for pid in count
    }


def _memory_bytes(pid: int) -> tuple[int, int]:
    """Return how much of a process is in memory, and how much of that is mapped from files or shared."""
    _, resident, mapped, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return int(resident) * os.sysconf("SC_PAGE_SIZE"), int(mapped) * os.sysconf("SC_PAGE_SIZE")


def _kill(process: ProcessId) -> int | None:
    """Kill a process and return its pidfd, None where it is gone or not ours to kill."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return None
    try:
        if identify(process.pid) == process:  # the descriptor is open: from here on it is this one or nobody
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return pidfd
    except OSError:
        pass
    os.close(pidfd)
    return None


def _wait_for(pidfds: list[int]) -> None:
    """Return when all have ended: only then are their ports free."""
    deadline = time.monotonic() + _GONE_SECONDS
    for pidfd in pidfds:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)


def _is_no_stranger(process: ProcessId) -> bool:
    """Tell whether its pid is its own or nobody's; while a group or session has members its id is not given out."""
    if process.boot_id != boot_id():
        return False
    try:
        return identify(process.pid) == process
    except ProcessLookupError:
        return True


def _carries(pid: int, mark: Mark | None) -> bool:
    if mark is None:
        return False
    whole = "=".join(mark).encode()
    return any(each == whole or each.startswith(whole + b":") for each in _environment(pid))


def _environment(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _identity(pid: int, stat: list[str]) -> ProcessId:
    return ProcessId(boot_id=boot_id(), pid=pid, start_ticks=int(stat[19]))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; the second, a name, may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return text.rpartition(")")[2].split()
