"""Logs are noted and cut while others write to them."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.runner import log_keeper
from balancer.runner.log_file import LogFile
from balancer.runner.log_keeper import LogKeeper, old_of
from balancer.runner.log_times import LogTimes
from balancer.testing import FakeClock
from waiting import eventually, until

pytestmark = pytest.mark.anyio


class Kept:
    """One log, its keeper, and the clock."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "web.1.log"
        self.clock = FakeClock()
        self.keeper = self.new_keeper()

    def new_keeper(self) -> LogKeeper:
        """Return one as a daemon that starts has it."""

        async def files() -> list[Path]:
            return [self.path]

        return LogKeeper(files, self.clock)

    def add(self, text: str) -> None:
        """Print something."""
        with self.path.open("a") as file:
            file.write(text)

    def look(self, seconds: float = 1) -> bool:
        """Let the keeper look, some time later."""
        self.clock.advance(seconds)
        return self.keeper.look([self.path])

    @property
    def lines(self) -> list[tuple[float, str]]:
        """Each line, and how many seconds after the beginning it was noticed."""
        found, _ = LogFile(self.path).last_lines(100_000)
        return [((line.at - FakeClock().now).total_seconds(), line.text) for line in found]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_keeper, "LIMIT_BYTES", 100)


def test_a_line_has_the_time_of_the_look_that_noticed_it(kept: Kept) -> None:
    for number in range(1, 4):
        kept.add(f"line {number}\n")
        kept.look()
    kept.look(100)
    kept.add("half ")
    kept.look()
    kept.add("and whole\n")
    kept.look()
    assert kept.lines == [(1, "line 1"), (2, "line 2"), (3, "line 3"), (105, "half and whole")]


def test_a_look_where_nothing_came_writes_nothing(kept: Kept) -> None:
    kept.add("line\n")
    kept.look()
    before = LogTimes(kept.path).path.stat()
    for _ in range(10):
        assert kept.look() is False
    assert LogTimes(kept.path).path.stat() == before


def test_what_was_written_while_nobody_looked_is_noticed_by_the_next_daemon(kept: Kept) -> None:
    kept.add("before\n")
    kept.look()
    kept.keeper = kept.new_keeper()
    kept.add("meanwhile\n")
    kept.look(1000)
    assert kept.lines == [(1, "before"), (1001, "meanwhile")]


@pytest.mark.usefixtures("_small")
def test_a_long_log_is_cut_and_its_lines_and_times_stay(kept: Kept) -> None:
    for number in range(1, 8):
        kept.add(f"line {number:02} {'x' * 22}\n")  # 31 bytes
        cut = kept.look()
        assert cut is (number == 4)
    assert kept.path.stat().st_size == 3 * 31
    assert old_of(kept.path).stat().st_size == 100
    # 4 × 31 bytes were there, 100 of them are kept: the first line that is whole is the second.
    assert [(at, line[:7]) for at, line in kept.lines] == [(n, f"line {n:02}") for n in range(2, 8)]


@pytest.mark.usefixtures("_small")
def test_a_line_over_the_cut_is_whole(kept: Kept) -> None:
    kept.add("x" * 90 + "\n" + "begun before ")
    kept.look()
    kept.add("and ended after\nnext\n")
    kept.look()
    assert [line for _, line in kept.lines] == ["begun before and ended after", "next"]


@pytest.mark.usefixtures("_small")
def test_whoever_follows_loses_nothing_and_reads_nothing_twice_when_it_is_cut(kept: Kept) -> None:
    position, read = 0, []
    for number in range(40):
        kept.add(f"line {number:02} {'x' * 22}\n")
        if number % 2:
            kept.look()
        if number % 3 == 0:
            lines, position = LogFile(kept.path).whole_lines(position)
            read += lines
    lines, position = LogFile(kept.path).whole_lines(position)
    assert [line.text[:7] for line in [*read, *lines]] == [f"line {n:02}" for n in range(40)]


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("dies_after", ["the copy", "the truncation"])
def test_a_daemon_that_dies_while_it_cuts_leaves_what_the_next_one_can_read(kept: Kept, dies_after: str) -> None:
    for number in range(1, 4):
        kept.add(f"line {number:02} {'x' * 22}\n")
        kept.look()
    kept.add("long\n" * 3)
    text, times = kept.path.read_bytes(), LogTimes(kept.path).path.read_bytes()
    kept.look()
    LogTimes(kept.path).path.write_bytes(times)
    if dies_after == "the copy":
        kept.path.write_bytes(text)
    kept.keeper = kept.new_keeper()
    kept.look()
    kept.add("next\n")
    kept.look()
    assert [line.partition(" x")[0] for _, line in kept.lines] == ["line 02", "line 03", *["long"] * 3, "next"]
    assert kept.lines[-1][0] == 6


def test_a_log_that_somebody_else_has_cut_goes_on(kept: Kept) -> None:
    kept.add("a long line of before\n")
    kept.look()
    kept.path.write_text("new\n")
    kept.look()
    kept.add("newer\n")
    kept.look()
    found, position = LogFile(kept.path).whole_lines(22)
    assert [line.text for line in found] == ["new", "newer"]
    assert position == 22 + 10


def test_a_log_that_is_not_there_is_no_matter(kept: Kept, tmp_path: Path) -> None:
    assert kept.look() is False
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def flood(kept: Kept) -> Iterator[subprocess.Popen[bytes]]:
    """A process that prints as fast as it can."""
    with kept.path.open("ab") as log, subprocess.Popen(["yes", "x" * 99], stdout=log) as process:
        yield process
        process.kill()


async def test_a_flood_is_held(kept: Kept, flood: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_keeper, "LIMIT_BYTES", 1_000_000)
    written = 0
    largest = 0
    keeping = asyncio.ensure_future(kept.keeper.run())

    def has_flooded() -> bool:
        nonlocal largest, written
        largest = max(largest, kept.path.stat().st_size + old_of(kept.path).stat().st_size if written else 0)
        first = LogTimes(kept.path).first()
        written = first.position if first else 0
        assert kept.path.stat().st_size < 5_000_000_000, "it is not held"
        # Where other things take the processor from us for a while it fills more, and is held all the same.
        return written > max(500_000_000, 3 * largest)

    await eventually(has_flooded, 120)
    keeping.cancel()
    print(f"\n{written / 1e6:.0f} MB were printed, {largest / 1e6:.0f} MB were there at most")
    assert flood.poll() is None


def test_lines_that_are_printed_while_it_is_cut_are_there_afterwards(tmp_path: Path) -> None:
    """A writer of 1 MB a second: some seven cuts, and no line is there twice or only in part.

    Those that come between the last read and the cut are lost: few, unless something else takes the processor just
    then. So the best of a few counts.
    """
    count, lost = 20_000, list[int]()
    for attempt in ("one", "two", "three"):
        (tmp_path / attempt).mkdir()
        lost.append(lost_while_cut(Kept(tmp_path / attempt), count))
        print(f"\n{lost[-1]} of {count} lines were lost while the log was cut")
        if lost[-1] <= count // 1000:
            break
    assert min(lost) <= count // 1000


def lost_while_cut(kept: Kept, count: int) -> int:
    """Return how many of so many lines are lost while their log is cut; none is there twice."""
    writes = f"""if True:
        import os, time
        for n in range({count}):
            os.write(1, b"%06d %s\\n" % (n, b"x" * 92))
            if n % 10 == 0:
                time.sleep(0.001)
    """
    with kept.path.open("ab") as log:
        child = subprocess.Popen([sys.executable, "-c", writes], stdout=log)
    position, read = 0, list[int]()
    with pytest.MonkeyPatch.context() as patch, child:
        patch.setattr(log_keeper, "LIMIT_BYTES", 300_000)

        def done() -> bool:
            nonlocal position
            ended = child.poll() is not None
            lines, position = LogFile(kept.path).whole_lines(position)
            read.extend(int(line.text[:6]) for line in lines)
            kept.look()
            return ended and not lines

        until(done, 60)
    assert len(read) == len(set(read))
    return count - len(set(read))


def test_of_many_logs_the_quiet_ones_are_looked_at_in_turns_and_one_that_grows_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "_QUIET_AT_ONCE", 2)
    clock = FakeClock()
    keeper = LogKeeper(_no_files, clock)
    logs = [tmp_path / f"web.{number}.log" for number in range(10)]
    for path in logs:
        path.write_text("listening\n")
    keeper.look(logs)  # new ones are looked at, however many
    assert {_noticed_bytes(path) for path in logs} == {10}
    keeper.look(logs)  # nothing has come: all are quiet
    for path in logs:
        with path.open("a") as file:
            file.write("more\n")
    for turn in range(1, 6):
        clock.advance(1)
        keeper.look(logs)
        assert sum(1 for path in logs if _noticed_bytes(path) == 15) == 2 * turn
    growing = logs[0]
    while growing not in keeper._growing:
        with growing.open("a") as file:
            file.write("more\n")
        keeper.look(logs)
    for _ in range(5):
        with growing.open("a") as file:
            file.write("more\n")
        keeper.look(logs)
        assert _noticed_bytes(growing) == growing.stat().st_size


async def _no_files() -> list[Path]:
    return []


def _noticed_bytes(path: Path) -> int:
    """Return up to where the times of a log's lines are known."""
    last = LogTimes(path).last()
    assert last
    return last.position
