"""Control groups of version 1, found in what the kernel says and made where we may."""

import subprocess
import time
from pathlib import Path

import pytest

from balancer.runner.cgroups import Cgroup, Cgroups, own_groups
from waiting import until

OWN = """\
12:memory:/system.slice/balancer.service
4:cpu,cpuacct:/
1:name=systemd:/system.slice/balancer.service
0::/system.slice/balancer.service
"""
MOUNTS = """\
25 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 29 0:27 {root} /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory
32 29 0:28 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
33 29 0:29 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
"""


@pytest.fixture
def made(tmp_path: Path) -> Cgroups:
    found = Cgroups.find(tmp_path)
    if not {"memory", "cpu", "pids"} <= found.places.keys():
        pytest.skip("no control groups of version 1 can be made here")
    return found


def test_our_own_groups_are_found_by_controller() -> None:
    assert own_groups(OWN, MOUNTS.format(root="/")) == {
        "cpu": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "memory": Path("/sys/fs/cgroup/memory/system.slice/balancer.service"),
    }


def test_in_a_container_they_lie_below_the_root_of_the_mount() -> None:
    inside = own_groups(OWN, MOUNTS.format(root="/system.slice"))
    assert inside["memory"] == Path("/sys/fs/cgroup/memory/balancer.service")
    assert "memory" not in own_groups(OWN, MOUNTS.format(root="/docker/1"))


def test_a_machine_with_version_2_alone_has_none() -> None:
    assert own_groups("0::/user.slice\n", "33 29 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n") == {}


def test_a_group_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Cgroups({"memory": tmp_path / "missing"}, tmp_path).group("1", memory_bytes=1, tasks=1)


def test_a_command_runs_in_its_group_within_its_limits_and_ends_as_it_would_without(made: Cgroups) -> None:
    group = made.group("7", memory_bytes=300_000_000, tasks=50)
    try:
        done = subprocess.run(
            group.around(["sh", "-c", 'cat /proc/self/cgroup; echo "$1"; exit 3', "sh", "a b"]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        for controller, directory in group.directories.items():
            assert any(line.endswith(directory.name) for line in done.stdout.splitlines() if f":{controller}" in line)
        assert done.stdout.endswith("\na b\n")
        limit = int((group.directories["memory"] / "memory.limit_in_bytes").read_text())
        assert 299_000_000 < limit <= 300_000_000  # whole pages
        assert (group.directories["cpu"] / "cpu.shares").read_text() == "102\n"
        assert (group.directories["pids"] / "pids.max").read_text() == "50\n"
        assert not group.lacked_memory
    finally:
        group.end()
    assert not any(directory.exists() for directory in group.directories.values())


def test_a_group_gets_a_tenth_of_a_processor_that_others_want(made: Cgroups) -> None:
    """All on one core, so that there is nothing left over for the group."""
    group = made.group("8", memory_bytes=100_000_000, tasks=50)
    burn = ["taskset", "-c", "0", "sh", "-c", "while :; do :; done"]
    inside, outside = subprocess.Popen(group.around(burn)), subprocess.Popen(burn)
    try:
        until(lambda: min(_processor_seconds(each.pid) for each in (inside, outside)) > 0.1, 60)
        before = [_processor_seconds(each.pid) for each in (inside, outside)]
        until(lambda: _processor_seconds(outside.pid) > before[1] + 2, 60)
        share = (_processor_seconds(inside.pid) - before[0]) / (_processor_seconds(outside.pid) - before[1])
        print(f"the share of a group, of what one outside gets: {share:.2f}")
        assert share < 0.4  # a tenth, and what others on the machine make of it
    finally:
        group.end()
        outside.kill()
        inside.wait()
        outside.wait()


def test_what_a_killed_daemon_left_is_ended_and_groups_of_others_are_not(made: Cgroups, tmp_path: Path) -> None:
    other = Cgroups(made.places, tmp_path / "other")
    theirs = other.group("9", memory_bytes=100_000_000, tasks=50)
    left = made.group("9", memory_bytes=100_000_000, tasks=50)
    processes = [subprocess.Popen(each.around(["sleep", "1000"])) for each in (left, theirs)]
    try:
        until(lambda: all(_is_in(group, pid.pid) for group, pid in zip((left, theirs), processes, strict=True)), 30)
        made.sweep()
        assert processes[0].wait(30) == -9
        assert processes[1].poll() is None
        assert not left.directories["memory"].exists()
        assert theirs.directories["memory"].exists()
    finally:
        theirs.end()
        for process in processes:
            process.kill()
            process.wait()


def test_a_group_that_is_gone_ends_at_once() -> None:
    began = time.monotonic()
    Cgroup({"memory": Path("/nowhere")}).end()
    assert time.monotonic() - began < 10


def _is_in(group: Cgroup, pid: int) -> bool:
    return all(str(pid) in (each / "cgroup.procs").read_text().split() for each in group.directories.values())


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
