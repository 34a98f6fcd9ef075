"""Control groups made by hand, for builds on a machine without systemd: version 1, where we may make some.

Invariants:
    * What is in a group has, together, so much memory and so many threads, and a tenth of a processor that others want.
    * A group ends with all that is in it, also what has emptied its environment and left its session.
    * Nobody who is not in the group is signalled.

With version 2 a group that has processes, as ours has, cannot bound memory below itself; there `scopes` asks systemd.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# A tenth of what a process that serves gets, where both want all; 1024 is the share of everybody else.
_CPU_SHARES = 102
# What each controller is told; a file that this kernel lacks (memsw without accounting of swap) is left out.
_LIMITS: Mapping[str, Mapping[str, str]] = {
    "memory": {"memory.limit_in_bytes": "{memory}", "memory.memsw.limit_in_bytes": "{memory}"},
    "cpu": {"cpu.shares": str(_CPU_SHARES)},
    "pids": {"pids.max": "{tasks}"},
}
_PREFIX = "balancer"
# 5 s for what was killed to be gone, as in `process_table`; an empty group is removed at once.
_GONE_SECONDS, _PAUSE_SECONDS = 5.0, 0.01
# A shell that goes into the groups itself, so that nothing of the command is ever outside; 0 means whoever writes it.
_JOIN = 'until [ "$1" = -- ]; do echo 0 > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where groups can be made: a directory for each controller."""

    places: Mapping[str, Path]
    data_dir: Path

    @classmethod
    def find(cls, data_dir: Path) -> Self:
        """Return where this process may make groups; nowhere is an answer, too."""
        own, mounts = Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
        places = {name: place for name, place in own_groups(own, mounts).items() if _can_make(place, data_dir)}
        return cls(places, data_dir)

    def group(self, name: str, *, memory_bytes: int, tasks: int) -> "Cgroup":
        """Make a group. Raises OSError."""
        made = Cgroup({controller: place / _named(self.data_dir, name) for controller, place in self.places.items()})
        for controller, directory in made.directories.items():
            directory.mkdir(exist_ok=True)
            for file, value in _LIMITS[controller].items():
                if (directory / file).exists():
                    (directory / file).write_text(value.format(memory=memory_bytes, tasks=tasks))
        return made

    def sweep(self) -> None:
        """End every group of this data directory that a daemon before us left."""
        for controller, place in self.places.items():
            for directory in place.glob(_named(self.data_dir, "*")):
                Cgroup({controller: directory}).end()


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One group: a directory for each controller."""

    directories: Mapping[str, Path]

    def around(self, command: Iterable[str]) -> list[str]:
        """Return a command that runs another one in the group."""
        return ["/bin/sh", "-c", _JOIN, "sh", *map(str, self.directories.values()), "--", *command]

    @property
    def lacked_memory(self) -> bool:
        """Whether one of the group was killed because all together wanted more memory than they may have."""
        try:
            told = (self.directories["memory"] / "memory.oom_control").read_text()
        except (KeyError, OSError):
            return False
        counts = dict(line.split(" ", 1) for line in told.splitlines())
        return int(counts.get("oom_kill", "0")) > 0

    def end(self) -> None:
        """Kill all that is in the group, and remove it; blocks until both are done, for at most five seconds."""
        deadline = time.monotonic() + _GONE_SECONDS
        for directory in self.directories.values():
            while time.monotonic() < deadline:
                for pid in _members(directory):
                    _kill(pid, directory)
                try:
                    directory.rmdir()
                except FileNotFoundError:
                    break
                except OSError:  # somebody is dying yet
                    time.sleep(_PAUSE_SECONDS)
                else:
                    break


def own_groups(own: str, mounts: str) -> dict[str, Path]:
    """Return the directory of our own group for each controller of version 1 that bounds builds.

    `own` is what /proc/self/cgroup says, `mounts` what /proc/self/mountinfo does.
    """
    paths = {
        controller: path
        for _, controllers, path in (line.split(":", 2) for line in own.splitlines())
        for controller in controllers.split(",")
    }
    found = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        root, mount = before.split()[3:5]
        kind, _, options = after.split()[:3]
        for controller in set(options.split(",")) & _LIMITS.keys() & paths.keys():
            # In a container the root of the mount may be a group, which our own is then below.
            if kind == "cgroup" and Path(paths[controller]).is_relative_to(root):
                found[controller] = Path(mount) / Path(paths[controller]).relative_to(root)
    return found


def _can_make(place: Path, data_dir: Path) -> bool:
    trial = place / _named(data_dir, "trial")
    try:
        trial.mkdir(exist_ok=True)
        trial.rmdir()
    except OSError:
        return False
    return True


def _named(data_dir: Path, name: str) -> str:
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return f"{_PREFIX}-{digest}-{name}"


def _members(directory: Path) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(line) for line in (directory / "cgroup.procs").read_text().split()}
    return set()


def _kill(pid: int, directory: Path) -> None:
    """SIGKILL a process if it is in the group, looked at again with its pidfd open."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            if pid in _members(directory):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
