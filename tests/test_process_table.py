"""Who belongs together in /proc, and that all of them end, but nobody else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.release import ProcessId
from balancer.process_table import family, identify, kill_family, usage
from waiting import until

MARK = "BALANCER_TEST"


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A leader with three children: one of its group, one of its session, one that has left both."""
    command = "sleep 100 & echo $!; set -m; sleep 100 & echo $!; set +m; setsid sleep 100 & echo $!; wait"
    with subprocess.Popen(
        ["/bin/bash", "-c", command],
        env={**os.environ, MARK: str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        kill_family(None, (MARK, str(tmp_path)))


def children(leader: subprocess.Popen[str]) -> list[int]:
    """Return the pids of the three children, once each of them runs its own program."""
    assert leader.stdout
    pids = [int(leader.stdout.readline()) for _ in range(3)]
    until(lambda: all(Path(f"/proc/{pid}/comm").read_text() == "sleep\n" for pid in pids), 30)
    return pids


def pids(found: frozenset[ProcessId]) -> set[int]:
    return {process.pid for process in found}


def test_group_and_session_belong_to_the_leader_and_with_the_mark_also_what_left_them(
    leader: subprocess.Popen[str], tmp_path: Path
) -> None:
    in_group, in_session, away = children(leader)
    me = identify(leader.pid)
    assert pids(family(me, None)) == {leader.pid, in_group, in_session}
    assert pids(family(me, (MARK, str(tmp_path)))) == {leader.pid, in_group, in_session, away}
    assert pids(family(None, (MARK, str(tmp_path)))) == {leader.pid, in_group, in_session, away}


def test_where_a_stranger_has_the_pid_of_the_leader_his_family_is_not_ours(leader: subprocess.Popen[str]) -> None:
    family_of_stranger = children(leader)
    stranger = identify(leader.pid)
    for gone in (
        replace(stranger, start_ticks=stranger.start_ticks - 1),
        replace(stranger, boot_id="another-boot"),
    ):
        assert family(gone, (MARK, "nobody has this")) == frozenset()
        assert kill_family(gone, (MARK, "nobody has this")) == 0
    assert all(Path(f"/proc/{pid}").exists() for pid in family_of_stranger)


def test_when_the_family_was_killed_all_of_it_is_gone(leader: subprocess.Popen[str], tmp_path: Path) -> None:
    everybody = [leader.pid, *children(leader)]
    assert kill_family(identify(leader.pid), (MARK, str(tmp_path))) == 4
    leader.wait()
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in everybody)
    assert kill_family(None, (MARK, str(tmp_path))) == 0


def test_a_zombie_is_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/true"], env={MARK: str(tmp_path)}, start_new_session=True) as child:
        until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", 30)
        assert family(identify(child.pid), (MARK, str(tmp_path))) == frozenset()


def test_one_that_forks_and_ends_all_the_time_does_not_get_away(tmp_path: Path) -> None:
    """A chain of processes, each of which starts the next one in a session of its own and ends."""
    hops = "import os\nfor _ in range(5000):\n    if os.fork(): os._exit(0)\n    os.setsid()\n    sum(range(2000))"
    with subprocess.Popen([sys.executable, "-S", "-c", hops], env={MARK: str(tmp_path)}):
        pass
    until(lambda: kill_family(None, (MARK, str(tmp_path))) == 0, 30)
    assert family(None, (MARK, str(tmp_path))) == frozenset()


def test_what_a_leader_uses_is_what_its_group_and_session_do_together(leader: subprocess.Popen[str]) -> None:
    children(leader)
    used = usage([identify(leader.pid)])[identify(leader.pid)]
    assert used.processes == 3  # itself, one of its group, one of its session; who has left both is not found
    assert 1_000_000 < used.memory_bytes < 200_000_000
    assert 0 <= used.cpu_seconds < 10


def test_time_on_a_processor_is_counted(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as busy:
        try:
            until(lambda: usage([identify(busy.pid)])[identify(busy.pid)].cpu_seconds > 0.1, 30)
        finally:
            busy.kill()


def test_of_a_stranger_who_has_the_pid_of_a_leader_nothing_is_told(leader: subprocess.Popen[str]) -> None:
    stranger = replace(identify(leader.pid), start_ticks=1)
    assert usage([stranger]) == {}
