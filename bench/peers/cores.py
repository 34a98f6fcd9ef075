"""Two cores: one for the proxy that is measured, one for everything else; and what a process has used of them."""

import os
import subprocess
import sys
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def two_cores() -> tuple[int, int]:
    """Return the core of the proxy and that of the load generator with the backend; ends the program without two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This comparison needs two cores: one for the proxy, one for the load and the backend.")
    return cores[0], cores[1]


def pin(pid: int, core: int) -> None:
    """Let a process, with its threads and those whom it has started, run on one core alone."""
    for each in family(pid):
        subprocess.run(["taskset", "-acp", str(core), str(each)], check=True, stdout=subprocess.DEVNULL)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return what a process and those that descend from it have used, in user mode and in the kernel."""
    return sum(map(own_seconds, family(pid)))


def own_seconds(pid: int) -> float:
    """Return what a process alone has used, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def busy_seconds(core: int) -> float:
    """Return for how long a core has worked, for whomever."""
    (line,) = (each for each in Path("/proc/stat").read_text().splitlines() if each.startswith(f"cpu{core} "))
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND
