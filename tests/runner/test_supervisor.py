"""Instances as real processes: started, found again, watched, stopped."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import reserved
from balancer import processes
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import Instance, ProcessId, Release
from balancer.errors import NotHealthy, PortStolen
from balancer.runner.listeners import listening
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.testing import FakeClock
from values import instance, release
from waiting import eventually

pytestmark = pytest.mark.anyio
SERVES = f"exec {Path(sys.executable).resolve()} -S -m http.server --bind 127.0.0.1 $PORT"


class House:
    """A workspace, and the supervisors that look after it one after the other."""

    def __init__(self, directory: Path) -> None:
        self.workspace = Workspace(directory / "releases")
        self.clock = FakeClock()
        self.config: dict[str, str] = {}
        self.recorded: dict[int, ProcessId] = {}
        self.supervisors: list[Supervisor] = []

    def supervisor(self, **settings: float) -> Supervisor:
        """Return a new one, as a daemon that starts has it."""

        async def config_of(release_id: int) -> dict[str, str]:
            return self.config

        async def record(instance_id: int, process: ProcessId) -> None:
            self.recorded[instance_id] = process

        made = Supervisor(
            self.workspace, domain="localhost", clock=self.clock, config_of=config_of, record=record, **settings
        )
        self.supervisors.append(made)
        return made

    def release(self, web: str | None, *, number: int = 1, **values: object) -> Release:
        """Return a release with an empty tree."""
        processes = {} if web is None else {WEB: web}
        made = {"source": Source.PROCFILE, "processes": processes, "health_timeout_seconds": 60.0, **values}
        made_release = release(number, manifest=Manifest(**made))  # type: ignore[arg-type]
        self.workspace.create(made_release)
        return made_release

    def printed(self, of: Release, one: Instance) -> str:
        """Return what an instance printed."""
        return self.workspace.instance_log(of, one).read_text()

    async def end(self) -> None:
        """Stop what any supervisor started or found."""
        for each in self.supervisors:
            await each.stop_all(0)
        for process in self.recorded.values():
            if processes.Process.adopt(process):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house whose processes are all gone in the end."""
    made = House(tmp_path)
    yield made
    await made.end()


def on_a_free_port(number: int = 7, *, index: int = 1) -> Instance:
    """Return an instance on a port that nobody else uses."""
    (port,) = reserved.ports(1)
    return instance(number, 1, index=index, port=port)


def is_there(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_an_instance_that_answers_is_healthy_and_runs(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release(SERVES), on_a_free_port()
    await supervisor.start(one, live)
    assert supervisor.running() == {7}
    await supervisor.wait_until_healthy(one, live)
    assert house.recorded[7] == processes.identify(house.recorded[7].pid)


async def test_what_instances_use_is_told_also_while_one_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, live, one = house.supervisor(), house.release(SERVES), on_a_free_port()
    await supervisor.start(one, live)
    # As a thread finds it in the middle of an end: it counts as alive, and its process is forgotten already.
    monkeypatch.setattr(supervisor, "_alive", {7, 8})
    assert set(supervisor.usage()) == {7}


async def test_a_static_release_is_served_by_us(house: House) -> None:
    static = house.release(None, static="public")
    (house.workspace.tree(static) / "public").mkdir()
    (house.workspace.tree(static) / "public" / "index.html").write_text("hello")
    supervisor, one = house.supervisor(), on_a_free_port()
    await supervisor.start(one, static)
    await supervisor.wait_until_healthy(one, static)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{one.port}/")).text == "hello"


async def test_an_instance_is_told_its_port_and_who_it_is_and_its_config(house: House) -> None:
    house.config = {"GREETING": "hello", "PORT": "1", "BALANCER_APP": "other"}
    supervisor, live, one = house.supervisor(), house.release("env; pwd"), on_a_free_port()
    await supervisor.start(one, live)
    await eventually(lambda: not supervisor.running(), 30)
    printed = house.printed(live, one).splitlines()
    assert {
        f"PORT={one.port}",
        "GREETING=hello",
        "BALANCER_APP=shop",
        "BALANCER_BRANCH=master",
        "BALANCER_RELEASE=1",
        f"BALANCER_COMMIT={live.commit}",
        str(house.workspace.tree(live)),
    } <= set(printed)


async def test_one_that_dies_at_once_is_not_healthy_and_its_last_lines_are_shown(house: House) -> None:
    supervisor, live, one = (
        house.supervisor(),
        house.release("seq 1 50; echo no such table >&2; exit 3"),
        on_a_free_port(),
    )
    await supervisor.start(one, live)
    with pytest.raises(NotHealthy) as failed:
        await supervisor.wait_until_healthy(one, live)
    first, *lines = str(failed.value).splitlines()
    assert first == ("the instance web.1 exited with status 3 before it was healthy; the last lines of its log:")
    assert [line.strip() for line in lines] == [*map(str, range(32, 51)), "no such table"]


async def test_one_that_is_killed_is_said_to_be(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("kill -SEGV $$"), on_a_free_port()
    await supervisor.start(one, live)
    with pytest.raises(NotHealthy, match=r"was killed by SIGSEGV before it was healthy; it printed nothing$"):
        await supervisor.wait_until_healthy(one, live)


async def test_one_that_never_answers_is_not_healthy_and_the_last_probe_is_shown(house: House) -> None:
    supervisor, one = house.supervisor(), on_a_free_port()
    silent = house.release("echo up; exec sleep 100", health_timeout_seconds=2.0)
    await supervisor.start(one, silent)
    with pytest.raises(NotHealthy, match=r"not healthy within 2 s: nothing listens on the port.*last lines") as failed:
        await supervisor.wait_until_healthy(one, silent)
    assert str(failed.value).endswith("       up")
    assert supervisor.running() == {7}  # the reconciler stops what was started of a failed release


async def test_one_that_answers_with_errors_is_not_healthy(house: House) -> None:
    supervisor, one = house.supervisor(), on_a_free_port()
    wrong = house.release(SERVES, health_path="/up", health_timeout_seconds=4.0)
    await supervisor.start(one, wrong)
    with pytest.raises(NotHealthy, match=rf"GET http://127\.0\.0\.1:{one.port}/up was answered 404"):
        await supervisor.wait_until_healthy(one, wrong)


async def test_one_whose_tree_is_gone_cannot_be_started(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release(SERVES), on_a_free_port()
    house.workspace.discard_tree(live)
    with pytest.raises(NotHealthy, match=r"the instance web\.1 could not be started: "):
        await supervisor.start(one, live)
    assert supervisor.running() == set()
    assert house.recorded == {}


async def test_when_an_instance_is_stopped_its_whole_group_is_gone(house: House) -> None:
    command = "sleep 100 & sh -c 'sleep 100 & echo $!; wait' & echo $!; wait"
    supervisor, live, one = house.supervisor(), house.release(command), on_a_free_port()
    await supervisor.start(one, live)
    await eventually(lambda: len(house.printed(live, one).split()) == 2, 30)
    family = [house.recorded[7].pid, *map(int, house.printed(live, one).split())]
    assert all(map(is_there, family))
    supervisor.stop(one)
    supervisor.stop(one)
    await eventually(lambda: not supervisor.running(), 30)
    await eventually(lambda: not any(map(is_there, family)), 30)


async def test_an_instance_that_does_not_want_to_end_is_killed_after_its_grace(house: House) -> None:
    stubborn = house.release("trap '' TERM; echo up; while :; do sleep 0.1; done")
    supervisor, one = house.supervisor(stop_grace_seconds=0.2), on_a_free_port()
    await supervisor.start(one, stubborn)
    await eventually(lambda: "up" in house.printed(stubborn, one), 30)
    supervisor.stop(one)
    await eventually(lambda: not supervisor.running(), 30)


async def test_an_instance_may_finish_what_it_does_before_it_ends(house: House) -> None:
    polite = house.release("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    supervisor, one = house.supervisor(), on_a_free_port()
    await supervisor.start(one, polite)
    await eventually(lambda: "up" in house.printed(polite, one), 30)
    await supervisor.stop_all(10)
    assert house.printed(polite, one).endswith("bye\n")
    assert supervisor.running() == set()


async def test_after_the_daemon_its_instances_run_on_and_the_next_one_finds_them(house: House) -> None:
    first, live, one = house.supervisor(), house.release(SERVES), on_a_free_port()
    await first.start(one, live)
    await first.wait_until_healthy(one, live)
    first.abandon()
    pid = house.recorded[7].pid
    assert is_there(pid)

    second = house.supervisor()
    await second.adopt([replace(one, process=house.recorded[7])])
    assert second.running() == {7}
    assert house.recorded[7].pid == pid
    await second.wait_until_healthy(one, live)
    second.stop(one)
    await eventually(lambda: not second.running(), 30)
    await eventually(lambda: not is_there(pid), 30)


async def test_one_that_was_started_and_not_recorded_is_found_by_its_environment(house: House) -> None:
    first, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    await first.start(one, live)
    process = house.recorded.pop(7)
    # While a process executes another program, its environment cannot be seen.
    await eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", 30)
    first.abandon()
    second = house.supervisor()
    await second.adopt([one, instance(8, 1)])
    assert second.running() == {7}
    assert house.recorded == {7: process}


async def test_a_stranger_with_the_same_pid_is_not_adopted(house: House) -> None:
    ours = processes.identify(os.getpid())
    supervisor = house.supervisor()
    await supervisor.adopt([instance(7, 1, process=replace(ours, start_ticks=ours.start_ticks - 1))])
    assert supervisor.running() == set()


async def test_an_instance_of_another_data_directory_is_not_adopted(house: House, tmp_path: Path) -> None:
    first, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    await first.start(one, live)
    other = House(tmp_path / "other")
    stranger = other.supervisor()
    await stranger.adopt([one])
    assert stranger.running() == set()
    assert first.running() == {7}


async def test_an_end_that_nobody_asked_for_is_noted_and_told(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    told = asyncio.Event()
    supervisor.on_exit = told.set
    await supervisor.start(one, live)
    house.clock.advance(5)
    os.kill(house.recorded[7].pid, signal.SIGKILL)
    await asyncio.wait_for(told.wait(), 30)
    assert supervisor.exits[7].at == house.clock.now
    assert supervisor.running() == set()


async def test_restarts_are_counted_until_one_run_was_steady(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    counted = []
    for seconds in (1, 1, 59.9, 60, 1):
        await supervisor.start(one, live)
        house.clock.advance(seconds)
        os.kill(house.recorded[7].pid, signal.SIGKILL)
        await eventually(lambda: not supervisor.running(), 30)
        counted.append(supervisor.exits[7].restarts)
    assert counted == [0, 1, 2, 0, 1]


async def test_a_clock_that_is_set_makes_no_run_steady(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    counted = []
    for ran, set_by in ((1, 0), (1, 3600), (60, -3600)):
        await supervisor.start(one, live)
        house.clock.advance(ran)
        house.clock.set(set_by)
        os.kill(house.recorded[7].pid, signal.SIGKILL)
        await eventually(lambda: not supervisor.running(), 30)
        counted.append(supervisor.exits[7].restarts)
    assert counted == [0, 1, 0]


async def test_two_instances_are_told_apart(house: House) -> None:
    supervisor, live = house.supervisor(), house.release("exec sleep 100")
    one, two = on_a_free_port(7), on_a_free_port(8, index=2)
    for each in (one, two):
        await supervisor.start(each, live)
    assert supervisor.running() == {7, 8}
    supervisor.stop(one)
    await eventually(lambda: supervisor.running() == {8}, 30)
    assert set(supervisor.exits) == {7}


OTHER_PORT = "exec {python} -S -m http.server --bind {host} {port}"


def serving(host: str, port: int | str = "$PORT") -> str:
    """Return a command that answers there."""
    return OTHER_PORT.format(python=Path(sys.executable).resolve(), host=host, port=port)


async def why_not_healthy(house: House, command: str, one: Instance | None = None, *, seconds: float = 4.0) -> str:
    """Return the message for an instance that does not become healthy."""
    supervisor, one = house.supervisor(), one or on_a_free_port()
    failing = house.release(command, health_timeout_seconds=seconds)
    await supervisor.start(one, failing)
    with pytest.raises(NotHealthy) as failed:
        await supervisor.wait_until_healthy(one, failing)
    return str(failed.value)


@pytest.mark.parametrize(("host", "answers"), [("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "127.0.0.1")])
async def test_where_an_instance_answers_is_told(house: House, host: str, answers: str) -> None:
    supervisor, live, one = house.supervisor(), house.release(serving(host)), on_a_free_port()
    await supervisor.start(one, live)
    assert await supervisor.wait_until_healthy(one, live) == answers


async def test_one_on_another_port_than_it_was_given_is_told_which(house: House) -> None:
    one, wrong = on_a_free_port(), on_a_free_port().port
    why = await why_not_healthy(house, serving("127.0.0.1", wrong), one)
    assert f"it listens on 127.0.0.1:{wrong} instead of PORT={one.port}: use the PORT of the environment" in why


async def test_the_wrong_port_of_a_grandchild_is_told_too(house: House) -> None:
    wrong = on_a_free_port().port
    why = await why_not_healthy(house, f"setsid sh -c '{serving('127.0.0.1', wrong)}' & wait")
    assert f"it listens on 127.0.0.1:{wrong} instead of PORT=" in why


async def test_one_that_exits_with_0_before_it_is_healthy_is_told(house: House) -> None:
    why = await why_not_healthy(house, "echo done")
    assert why.startswith("the instance web.1 exited with status 0 before it was healthy; the last lines")


@pytest.mark.parametrize("daemonise", ["setsid sh -c '{}' &", "({} &);"])
async def test_one_that_goes_into_the_background_is_told_and_ended(house: House, daemonise: str) -> None:
    one = on_a_free_port()
    why = await why_not_healthy(house, daemonise.format(serving("127.0.0.1")) + " echo $!", one)
    assert "went into the background: its command exited with status 0 and left 1 running" in why
    assert "The command must stay in the foreground" in why
    assert one.port not in {listener.port for listener in listening()}


async def test_a_stranger_on_the_port_is_not_taken_for_health(house: House) -> None:
    one = on_a_free_port()
    with socket.create_server(("127.0.0.1", one.port)):
        with pytest.raises(PortStolen):
            await house_waits(house, "exec sleep 100", one)
        with pytest.raises(PortStolen):  # most apps say so and end
            await house_waits(house, "echo address in use; exit 1", one)


async def house_waits(house: House, command: str, one: Instance) -> str:
    """Start an instance and wait until it is healthy."""
    supervisor, live = house.supervisor(), house.release(command)
    await supervisor.start(one, live)
    return await supervisor.wait_until_healthy(one, live)


@pytest.mark.parametrize("ends", ["by itself", "asked", "adopted"])
async def test_what_left_the_group_ends_with_the_instance_and_its_port_is_free(house: House, ends: str) -> None:
    one = on_a_free_port()
    live = house.release(f"setsid sh -c '{serving('127.0.0.1')}' & echo $!; wait")
    supervisor = house.supervisor()
    await supervisor.start(one, live)
    await supervisor.wait_until_healthy(one, live)
    (grandchild,) = map(int, house.printed(live, one).split()[:1])
    assert is_there(grandchild)
    process = house.recorded[7]
    if ends == "adopted":
        supervisor.abandon()
        supervisor = house.supervisor()
        await supervisor.adopt([replace(one, process=process)])
        assert supervisor.running() == {7}
    if ends == "by itself":
        os.kill(process.pid, signal.SIGKILL)
    else:
        supervisor.stop(one)
    await eventually(lambda: not supervisor.running(), 30)
    assert not is_there(grandchild)
    assert one.port not in {listener.port for listener in listening()}


async def test_what_an_instance_left_that_died_while_no_daemon_was_there_is_ended(house: House) -> None:
    first, one = house.supervisor(), on_a_free_port()
    live = house.release(f"setsid sh -c '{serving('127.0.0.1')}' & wait")
    await first.start(one, live)
    await first.wait_until_healthy(one, live)
    first.abandon()
    os.kill(house.recorded[7].pid, signal.SIGKILL)
    await eventually(lambda: not is_there(house.recorded[7].pid), 30)
    assert one.port in {listener.port for listener in listening()}
    second = house.supervisor()
    await second.adopt([replace(one, process=house.recorded[7])])
    assert second.running() == set()
    assert one.port not in {listener.port for listener in listening()}


async def test_one_that_was_asked_to_end_may_be_waited_for(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    await supervisor.start(one, live)
    await supervisor.end(one)
    assert supervisor.running() == set()
    await supervisor.end(one)


async def test_one_that_runs_is_not_started_again(house: House) -> None:
    supervisor, live, one = house.supervisor(), house.release("exec sleep 100"), on_a_free_port()
    await supervisor.start(one, live)
    process = house.recorded[7]
    await supervisor.start(one, live)
    assert house.recorded[7] == process
