"""Real processes that outlive whoever started them: known by more than a pid, and gone with all they started."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer import processes
from balancer.processes import Ending, Process
from waiting import eventually, until

pytestmark = pytest.mark.anyio


class Nursery:
    """Starts processes in a directory, and ends in the end what they left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.output = directory / "output"
        self.started: list[Process] = []
        self.strays: list[int] = []
        """Leaders of sessions that were not started here."""

    def spawn(self, command: str, **environment: str) -> Process:
        """Start a shell."""
        process = Process.spawn(
            ["/bin/sh", "-c", command],
            directory=self.directory,
            environment={"PATH": os.environ["PATH"], **environment},
            output=self.output,
        )
        self.started.append(process)
        return process

    @property
    def printed(self) -> list[str]:
        """The words that were printed."""
        return self.output.read_text().split() if self.output.exists() else []

    async def pids(self, count: int) -> list[int]:
        """Return the pids that were printed, once there are so many."""
        await eventually(lambda: len(self.printed) >= count, 30)
        return [int(word) for word in self.printed]

    async def end(self) -> None:
        """End what is left."""
        for process in self.started:
            if process.running:
                await process.stop(0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.id.pid, signal.SIGKILL)  # one that was forgotten
        for pid in self.strays:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    """A nursery that is empty in the end."""
    made = Nursery(tmp_path)
    yield made
    await made.end()


def is_there(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class TestSpawn:
    """A process is started apart from us."""

    async def test_its_output_is_appended_to_a_file(self, nursery: Nursery) -> None:
        nursery.output.write_text("before\n")
        assert str(await nursery.spawn("echo out; echo err >&2").wait()) == "exited with status 0"
        assert nursery.printed == ["before", "out", "err"]

    async def test_it_has_the_directory_and_the_environment_that_it_was_given_and_no_other(
        self, nursery: Nursery
    ) -> None:
        await nursery.spawn("pwd; env | grep -v -e PWD -e SHLVL -e ^_= | sort", NAME="value").wait()
        assert nursery.printed == [str(nursery.directory), "NAME=value", f"PATH={os.environ['PATH']}"]

    async def test_it_leads_a_session_of_its_own(self, nursery: Nursery) -> None:
        process = nursery.spawn("exec sleep 100")
        assert os.getsid(process.id.pid) == os.getpgid(process.id.pid) == process.id.pid

    async def test_it_inherits_the_descriptors_that_were_named_and_no_other(self, nursery: Nursery) -> None:
        kept, other = os.pipe()
        os.set_inheritable(other, True)
        try:
            process = Process.spawn(
                ["/bin/sh", "-c", "ls /proc/self/fd"],
                directory=nursery.directory,
                environment={"PATH": os.environ["PATH"]},
                output=nursery.output,
                keep=[kept],
            )
            await process.wait()
        finally:
            os.close(kept)
            os.close(other)
        assert str(kept) in nursery.printed
        assert str(other) not in nursery.printed

    async def test_a_command_that_is_not_there_cannot_be_started(self, nursery: Nursery) -> None:
        with pytest.raises(FileNotFoundError):
            Process.spawn(["/no/such"], directory=nursery.directory, environment={}, output=nursery.output)


class TestEnding:
    """How it ended is known as far as anybody told us."""

    @pytest.mark.parametrize(
        ("command", "status", "text"),
        [
            ("exit 0", 0, "exited with status 0"),
            ("exit 3", 3, "exited with status 3"),
            ("kill -KILL $$", -9, "was killed by SIGKILL"),
        ],
    )
    async def test_of_our_own_child_all_is_known(self, command: str, status: int, text: str, nursery: Nursery) -> None:
        process = nursery.spawn(command)
        ending = await process.wait()
        assert (ending, str(ending)) == (Ending(status=status), text)
        assert not process.running
        assert await process.wait() == ending

    async def test_of_another_ones_child_only_that_it_ended(self, nursery: Nursery) -> None:
        nursery.spawn("setsid sh -c 'echo $$; exec sleep 100' & wait")
        (stranger,) = await nursery.pids(1)
        nursery.strays.append(stranger)
        adopted = Process.adopt(processes.identify(stranger))
        assert adopted is not None
        os.kill(stranger, signal.SIGKILL)
        assert str(await adopted.wait()) == "ended"

    async def test_a_child_that_the_code_before_us_started_is_reaped_and_all_is_known(self, nursery: Nursery) -> None:
        first = nursery.spawn("exec sleep 100")
        first.forget()
        second = Process.adopt(first.id)
        assert second is not None
        os.kill(second.id.pid, signal.SIGKILL)
        assert str(await second.wait()) == "was killed by SIGKILL"
        assert not Path(f"/proc/{second.id.pid}").exists()

    async def test_a_child_that_ended_while_nobody_looked_is_reaped_too(self, nursery: Nursery) -> None:
        first = nursery.spawn("exec sleep 100")
        first.forget()
        os.kill(first.id.pid, signal.SIGKILL)
        await eventually(lambda: not is_there(first.id.pid), 30)
        assert Process.adopt(first.id) is None
        assert not Path(f"/proc/{first.id.pid}").exists()

    async def test_whoever_stops_waiting_leaves_it_alone(self, nursery: Nursery) -> None:
        process = nursery.spawn("exec sleep 100")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.01)
        assert process.running
        assert is_there(process.id.pid)

    async def test_when_the_leader_ends_what_is_left_of_its_group_is_killed(self, nursery: Nursery) -> None:
        process = nursery.spawn("sleep 100 & echo $!; sh -c 'sleep 100 & echo $!; wait' & echo $!; wait")
        family = await nursery.pids(3)
        assert all(map(is_there, family))
        os.kill(process.id.pid, signal.SIGKILL)
        await process.wait()
        await eventually(lambda: not any(map(is_there, family)), 30)

    async def test_also_when_it_was_adopted(self, nursery: Nursery) -> None:
        command = "setsid sh -c 'sleep 100 & echo $$ $!; wait' & wait"
        nursery.spawn(command)
        leader, child = await nursery.pids(2)
        nursery.strays.append(leader)
        adopted = Process.adopt(processes.identify(leader))
        assert adopted is not None
        os.kill(leader, signal.SIGKILL)
        await adopted.wait()
        await eventually(lambda: not is_there(child), 30)


class TestStop:
    """It is asked to end, and then made to."""

    async def test_one_that_ends_when_asked_is_not_killed(self, nursery: Nursery) -> None:
        process = nursery.spawn("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.02; done")
        await eventually(lambda: "up" in nursery.printed, 30)
        assert (await process.stop(10)).status == 7
        assert "bye" in nursery.printed

    async def test_one_that_does_not_is_killed_after_its_grace(self, nursery: Nursery) -> None:
        process = nursery.spawn("trap '' TERM; echo up; while :; do sleep 0.02; done")
        await eventually(lambda: "up" in nursery.printed, 30)
        assert (await process.stop(0.1)).status == -signal.SIGKILL

    async def test_one_that_has_ended_is_left_in_peace(self, nursery: Nursery) -> None:
        process = nursery.spawn("exit 3")
        await process.wait()
        process.signal_group(signal.SIGKILL)
        assert (await process.stop(10)).status == 3


class TestForget:
    """Who watches no longer leaves it running."""

    async def test_it_runs_on(self, nursery: Nursery) -> None:
        process = nursery.spawn("exec sleep 100")
        process.forget()
        assert is_there(process.id.pid)
        with pytest.raises(asyncio.CancelledError):
            await process.wait()

    async def test_it_survives_the_death_of_whoever_started_it(self, nursery: Nursery) -> None:
        parent = f"""if True:
            import asyncio, os, pathlib
            from balancer.processes import Process
            async def main():
                here = pathlib.Path({str(nursery.directory)!r})
                process = Process.spawn(["/bin/sh", "-c", "while :; do echo x; sleep 0.02; done"],
                    directory=here, environment=os.environ, output=here / "output")
                print(process.id.pid, flush=True)
                os.kill(os.getpid(), 9)
            asyncio.run(main())
        """
        done = await asyncio.to_thread(
            lambda: subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=False)
        )
        assert done.returncode == -signal.SIGKILL
        pid = int(done.stdout)
        nursery.strays.append(pid)
        seen = len(nursery.printed)
        await eventually(lambda: len(nursery.printed) > seen, 30)
        adopted = Process.adopt(processes.identify(pid))
        assert adopted is not None
        await adopted.stop(0)

    async def test_to_forget_what_has_ended_is_nothing(self, nursery: Nursery) -> None:
        process = nursery.spawn("exit 0")
        await process.wait()
        process.forget()


class TestAdopt:
    """Found again, and never mistaken for another."""

    async def test_one_that_runs_is_found_by_its_identity(self, nursery: Nursery) -> None:
        first = nursery.spawn("exec sleep 100")
        first.forget()
        again = Process.adopt(first.id)
        assert again is not None
        assert (again.id, again.running) == (first.id, True)
        assert await again.stop(10) == Ending(status=-signal.SIGTERM)
        assert not again.running

    @pytest.mark.parametrize("wrong", [{"boot_id": "another-boot"}, {"start_ticks": 1}, {"pid": 2**22}])
    async def test_one_that_differs_in_anything_is_another(self, wrong: dict[str, object], nursery: Nursery) -> None:
        ours = processes.identify(os.getpid())
        assert Process.adopt(replace(ours, **wrong)) is None  # type: ignore[arg-type]

    async def test_one_that_has_ended_and_was_not_yet_reaped_is_gone(self, nursery: Nursery) -> None:
        child = subprocess.Popen(["sleep", "100"])
        identity = processes.identify(child.pid)
        child.kill()
        until(lambda: not is_there(child.pid), 30)
        assert Process.adopt(identity) is None
        child.wait()
        assert Process.adopt(identity) is None

    async def test_a_process_of_any_name_is_identified(self, nursery: Nursery) -> None:
        odd = nursery.directory / "a) R 1 (b"
        sleep = shutil.which("sleep")
        assert sleep is not None
        shutil.copy(sleep, odd)
        child = subprocess.Popen([odd, "100"])
        try:
            until(lambda: "a) R" in Path(f"/proc/{child.pid}/comm").read_text(), 30)
            identity = processes.identify(child.pid)
            assert identity.start_ticks >= processes.identify(os.getpid()).start_ticks
            assert identity.boot_id == processes.boot_id()
        finally:
            child.kill()
            child.wait()

    async def test_what_is_not_there_has_no_identity(self) -> None:
        with pytest.raises(ProcessLookupError):
            processes.identify(2**22)


class TestFind:
    """Found by what it was started with."""

    async def test_by_a_variable_of_its_environment(self, nursery: Nursery) -> None:
        process = nursery.spawn("echo up; sleep 100", MARK=str(nursery.directory))
        await eventually(lambda: nursery.printed == ["up"], 30)
        assert processes.find("MARK", str(nursery.directory)) == process.id

    async def test_by_the_whole_value_alone(self, nursery: Nursery) -> None:
        nursery.spawn("echo up; sleep 100", MARK=f"{nursery.directory}:12")
        await eventually(lambda: nursery.printed == ["up"], 30)
        assert processes.find("MARK", f"{nursery.directory}:1") is None
        assert processes.find("ARK", f"{nursery.directory}:12") is None

    async def test_the_leader_of_a_session_and_not_what_it_started(self, nursery: Nursery) -> None:
        nursery.spawn(f"MARK={nursery.directory} sh -c 'echo $$; sleep 100'; :")
        (child,) = await nursery.pids(1)
        assert f"MARK={nursery.directory}".encode() in Path(f"/proc/{child}/environ").read_bytes()
        assert processes.find("MARK", str(nursery.directory)) is None

    async def test_the_oldest_of_several(self, nursery: Nursery) -> None:
        first = nursery.spawn("echo 1; sleep 100", MARK=str(nursery.directory))
        await nursery.pids(1)
        ticks = first.id.start_ticks

        def later() -> bool:
            uptime = float(Path("/proc/uptime").read_text().split()[0])
            return int(uptime * os.sysconf("SC_CLK_TCK")) > ticks + 1

        await eventually(later, 30)
        nursery.spawn("echo 2; sleep 100", MARK=str(nursery.directory))
        await nursery.pids(2)
        assert processes.find("MARK", str(nursery.directory)) == first.id

    async def test_none_where_there_is_none(self) -> None:
        assert processes.find("MARK", "nobody has this") is None


class TestKillMarked:
    """Everything that carries a mark is killed, wherever it fled to, and nothing else."""

    async def test_also_what_leads_a_session_of_its_own_and_what_that_started(self, nursery: Nursery) -> None:
        mark = f"{nursery.directory}:12"
        nursery.spawn("setsid sh -c 'echo $$; sleep 100 & echo $!; wait' & echo $!; wait", MARK=mark)
        pids = await nursery.pids(3)
        assert processes.kill_marked("MARK", mark) >= 3
        await eventually(lambda: not any(is_there(pid) for pid in pids), 30)

    @pytest.mark.parametrize(("name", "end"), [("MARK", ":1"), ("ARK", ":12"), ("MARK", "x"), ("MARK", ":12:1")])
    async def test_not_what_carries_another_mark(self, name: str, end: str, nursery: Nursery) -> None:
        process = nursery.spawn("echo $$; sleep 100", MARK=f"{nursery.directory}:12")
        await nursery.pids(1)
        assert processes.kill_marked(name, f"{nursery.directory}{end}") == 0
        assert process.running

    async def test_all_marks_that_begin_alike_up_to_a_colon(self, nursery: Nursery) -> None:
        nursery.spawn("echo $$; exec sleep 100", MARK=f"{nursery.directory}:12")
        nursery.spawn("echo $$; exec sleep 100", MARK=f"{nursery.directory}:13")
        pids = await nursery.pids(2)
        assert processes.kill_marked("MARK", str(nursery.directory)) == 2
        await eventually(lambda: not any(is_there(pid) for pid in pids), 30)

    async def test_what_goes_on_forking_is_killed_all_the_same(self, nursery: Nursery) -> None:
        fork = "echo $$; run() { while :; do setsid sleep 100 & sleep 0.01; done; }; run & run & run"
        nursery.spawn(fork, MARK=str(nursery.directory))
        await nursery.pids(1)
        processes.kill_marked("MARK", str(nursery.directory))
        await eventually(lambda: processes.kill_marked("MARK", str(nursery.directory)) == 0, 30)
