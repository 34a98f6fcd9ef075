"""The ledger as the process that it is: started, asked, killed at any moment, started again."""

import asyncio
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import balancer
from balancer.errors import DataDirectoryInUse, InvalidName, LedgerUnavailable
from balancer.sockets import short_path
from balancer.stats.cells import EventNames, Measure, NamedEvents, Part, SplitCells, SplitQuestion, What
from balancer.stats.tally import Intake, Mark
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_wire import Pong
from edge_lines import cookie, line
from entries import asked
from waiting import until

READY_SECONDS = 60.0


class Ledger:
    """The ledger process of one data directory."""

    def __init__(self, directory: Path, variables: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._variables = variables or {}
        self.socket = directory / "run" / "ledger.sock"
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "edge").mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        with (self.directory / "ledger.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "balancer.ledgerd", str(self.directory)],
                stderr=output,
                env={**os.environ, **self._variables},
            )

    def end(self, number: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(READY_SECONDS)

    def ready(self) -> Pong:
        until(lambda: self.pong() is not None, READY_SECONDS)
        pong = self.pong()
        assert pong
        return pong

    def pong(self) -> Pong | None:
        try:
            return asyncio.run(LedgerClient(self.socket).ping())
        except LedgerUnavailable:
            return None

    def caught_up(self) -> None:
        until(lambda: (pong := self.pong()) is not None and pong.behind_bytes == 0, 60)

    def cells(self, *events: str) -> SplitCells:
        return asyncio.run(LedgerClient(self.socket).cells(asked(*events, of=[What.VALUES])))

    def intake(self) -> Intake:
        return asyncio.run(LedgerClient(self.socket).intake("shop"))

    def write(self, *lines: bytes, name: str = "000001.log") -> None:
        with (self.directory / "edge" / name).open("ab") as file:
            file.write(b"".join(each + b"\n" for each in lines))

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in (self.directory / "ledger.log").read_text().splitlines()]

    def exchange(self, *asks: bytes) -> list[Any]:
        """Say lines on one connection, and return an answer to each."""
        with socket.socket(socket.AF_UNIX) as calling, short_path(self.socket) as path:
            calling.settimeout(READY_SECONDS)
            calling.connect(path)
            calling.sendall(b"".join(ask + b"\n" for ask in asks))
            with calling.makefile("rb") as answers:
                return [json.loads(answers.readline()) for _ in asks]


@pytest.fixture
def make_ledger(tmp_path: Path) -> Iterator[Callable[[Path], Ledger]]:
    made: list[Ledger] = []

    def make(directory: Path) -> Ledger:
        made.append(Ledger(directory))
        return made[-1]

    yield make
    for ledger in made:
        if ledger.process and ledger.process.poll() is None:
            ledger.end(signal.SIGKILL)


@pytest.fixture
def ledger(make_ledger: Callable[[Path], Ledger], tmp_path: Path) -> Ledger:
    """Give a running ledger, in a directory deeper than the path of a socket may be."""
    running = make_ledger(tmp_path / ("d" * 120) / "data")
    running.start()
    running.ready()
    return running


def test_what_the_proxy_writes_can_soon_be_asked_for(ledger: Ledger) -> None:
    ledger.write(line(exposed="1", event="purchase=2.5"), line(event="purchase=nonsense"))
    until(lambda: ledger.intake().accepted, 30)
    found = ledger.cells("purchase")
    assert [(cell.variant, cell.visitors) for cell in found.exposed] == [("test", 1)]
    assert [cell.moments.mean_y for cell in found.measures[0].cells] == [2.5]
    assert ledger.intake() == Intake(accepted=1, refused=1, reasons=(("value", 1),))


def test_it_cuts_a_split_by_release(ledger: Ledger) -> None:
    ledger.write(
        line(exposed="1", event="purchase=2.5"),
        line(exposed="1", cookie=cookie(2), served="web/<NOSRV>"),
    )
    until(lambda: ledger.intake().accepted, 30)
    client = LedgerClient(ledger.socket)
    mark = Mark(variant="test", release=9, since=1)
    found = asyncio.run(client.releases(app="shop", split="s1", phases=[1], variants=["test"], marks=[mark]))
    assert {(cell.release, cell.visitors) for cell in found.exposed} == {(3, 1), (9, 1)}
    assert [(cell.event, cell.release, cell.values.mean) for cell in found.events] == [("purchase", 3, 2.5)]


def test_it_tells_the_cells_of_a_split_and_the_names_of_events(ledger: Ledger) -> None:
    ledger.write(line(exposed="1", event="purchase=2.5"))
    until(lambda: ledger.intake().accepted, 30)
    measure = Measure(name="revenue", y=Part(event="purchase", what=What.VALUES), until=72 * 3_600_000, cap=2.0)
    question = SplitQuestion(
        app="shop", split="s1", phases=(1,), variants=("test",), measures=(measure,), as_of=2_000_000_000_000
    )
    client = LedgerClient(ledger.socket)
    (found,) = asyncio.run(client.cells(question)).measures
    assert [(cell.variant, cell.events, cell.moments.mean_y, cell.mature) for cell in found.cells] == [
        ("test", 1, 2.0, True)
    ]
    names = asyncio.run(client.names("shop"))
    assert names == EventNames(names=(NamedEvents(event="purchase", events=1, valued=1),))


def test_a_ping_says_who_answers_and_how_far_behind_it_is(ledger: Ledger) -> None:
    assert ledger.process
    assert ledger.pong() == Pong(
        version=balancer.__version__, pid=ledger.process.pid, behind_bytes=0, engine="embedded"
    )
    (ledger.directory / "edge" / "000001.log").write_bytes(b'{"t":')
    assert ledger.ready().behind_bytes == 5


def test_only_our_user_may_open_the_socket_and_the_file(ledger: Ledger) -> None:
    for path in (ledger.socket, ledger.directory / "ledger.duckdb"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_ledger_on_the_same_directory_says_so_and_exits(ledger: Ledger) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "balancer.ledgerd", str(ledger.directory)],
        capture_output=True,
        timeout=READY_SECONDS,
        check=False,
    )
    assert second.returncode == DataDirectoryInUse.exit_code
    assert ledger.process
    assert f"pid {ledger.process.pid}" in json.loads(second.stderr)["reason"]
    assert ledger.pong()


def test_without_a_directory_it_says_how_it_is_called() -> None:
    called = subprocess.run(
        [sys.executable, "-m", "balancer.ledgerd"], capture_output=True, timeout=READY_SECONDS, check=False
    )
    assert called.returncode == 2
    assert b"DATA_DIR" in called.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(ledger: Ledger, number: signal.Signals) -> None:
    ledger.write(line(exposed="1", event="a"))
    ledger.caught_up()
    assert ledger.end(number) == 0
    assert not ledger.socket.exists()
    assert not (ledger.directory / "ledger.duckdb.wal").exists()
    assert [each["message"] for each in ledger.log()] == ["ledger.started", "ledger.stopped"]
    ledger.start()
    ledger.ready()
    assert ledger.intake().accepted == 1


def test_it_ends_when_it_is_asked_to(ledger: Ledger) -> None:
    assert ledger.process
    assert asyncio.run(LedgerClient(ledger.socket).stop()) == ledger.process.pid
    assert ledger.process.wait(READY_SECONDS) == 0


def test_many_questions_go_over_one_connection_and_over_many(ledger: Ledger) -> None:
    asks = [b'{"ask":"ping"}', b'{"ask":"intake","app":"shop"}'] * 5
    assert [sorted(answer) for answer in ledger.exchange(*asks)][:2] == [
        ["behind_bytes", "engine", "lost_lines", "pid", "version"],
        ["accepted", "duplicate", "lost_lines", "reasons", "refused"],
    ]
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: ledger.exchange(*asks), range(16)))
    assert all(len(each) == 10 for each in answers)


@pytest.mark.parametrize(
    "ask",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"[]",
        b"{}",
        b'{"ask":"dance"}',
        b'{"ask":"intake"}',
        b'{"ask":"releases","app":"shop","split":"s1","phases":["one"],"variants":[],"marks":[]}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_question_is_said_to_be_none_and_the_next_is_answered(ledger: Ledger, ask: bytes) -> None:
    failure, pong = ledger.exchange(ask, b'{"ask":"ping"}')
    assert failure["error"] == "invalid-input"
    assert pong["version"] == balancer.__version__


def test_a_question_about_what_is_no_split_comes_back_as_its_error(ledger: Ledger) -> None:
    ask = LedgerClient(ledger.socket).releases(app="shop", split="17", phases=[1], variants=["test"], marks=[])
    with pytest.raises(InvalidName):
        asyncio.run(ask)


def test_a_line_without_end_costs_the_caller_the_connection_and_nobody_else(ledger: Ledger) -> None:
    with socket.socket(socket.AF_UNIX) as calling, short_path(ledger.socket) as path:
        calling.settimeout(READY_SECONDS)
        calling.connect(path)
        try:
            calling.sendall(b"x" * (33 << 20))
            assert calling.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert ledger.pong()


class Writer(threading.Thread):
    """Appends lines as HAProxy does, in pieces that end anywhere, until told to stop."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.visitors = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        chance = random.Random(7)
        with (self.ledger.directory / "edge" / "000001.log").open("ab", buffering=0) as file:
            while not self.stopped.wait(0.002):
                lines = b""
                for _ in range(chance.randrange(1, 60)):
                    self.visitors += 1
                    lines += line(cookie=cookie(self.visitors), exposed="1", event="a=1") + b"\n"
                cut = chance.randrange(len(lines))
                file.write(lines[:cut])
                file.write(lines[cut:])


def test_killed_at_any_moment_every_line_is_in_exactly_once(
    make_ledger: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    ledger = make_ledger(tmp_path / "data")
    writer = Writer(ledger)
    writer.start()
    chance = random.Random(11)
    kills_while_loading = 0
    try:
        for _ in range(6):
            ledger.start()
            if chance.random() < 0.8:  # the others are killed while they start
                before = ledger.ready().behind_bytes
                deadline = time.monotonic() + chance.random() * 0.5
                until(lambda deadline=deadline: time.monotonic() > deadline, 5)  # type: ignore[misc]
                kills_while_loading += before > 0
            ledger.end(signal.SIGKILL)
    finally:
        writer.stopped.set()
        writer.join()
    ledger.start()
    ledger.ready()
    ledger.caught_up()
    found = ledger.cells("a")
    (exposed,), (did,) = found.exposed, found.measures[0].cells
    assert kills_while_loading
    assert (exposed.visitors, did.events, did.conversions) == (writer.visitors,) * 3
    assert did.moments.mean_y == 1
    assert did.moments.m2_y == 0
    assert ledger.intake() == Intake(accepted=writer.visitors)
