"""What instances print is given line by line: whole, and once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from balancer.runner import instance_logs
from balancer.runner.instance_logs import NamedLine, follow, tail
from balancer.runner.log_keeper import LogKeeper
from balancer.testing import FakeClock
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often, so that these tests are quick."""
    monkeypatch.setattr(instance_logs, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of an instance."""
    path = tmp_path / "web.1.log"
    path.touch()
    return path


def add(log: Path, text: str | bytes) -> None:
    """Print something."""
    with log.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


async def nothing() -> list[Path]:
    """Return no files: the test says itself when which are looked at."""
    return []


async def end_of(log: Path, lines: int) -> list[str]:
    """Return the last lines of one log."""
    return [line.text for line in await tail({"web.1": log}, lines)]


class Reader:
    """Somebody who follows logs; `files` may change meanwhile."""

    def __init__(self, files: Mapping[str, Path], lines: int = 0) -> None:
        self.files = dict(files)
        self.read: list[tuple[str, str]] = []
        self.looked = 0
        self._lines = lines

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.read]

    async def looks_again(self) -> None:
        """Wait for two looks at the files: the first may have begun before."""
        before = self.looked
        await eventually(lambda: self.looked >= before + 2, 30)

    async def __aenter__(self) -> "Reader":
        self._task = asyncio.ensure_future(self._follow())
        await eventually(lambda: self.looked >= 2, 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task

    async def _follow(self) -> None:
        async def files() -> Mapping[str, Path]:
            self.looked += 1
            return dict(self.files)

        found: AsyncIterator[NamedLine] = follow(files, self._lines)
        async with aclosing(found) as entries:  # type: ignore[type-var]
            async for entry in entries:
                self.read.append((entry.name, entry.text))


async def test_the_ends_of_all_logs_are_given_in_the_order_of_time(tmp_path: Path) -> None:
    one, two = tmp_path / "1.log", tmp_path / "2.log"
    clock = FakeClock()
    keeper = LogKeeper(nothing, clock)
    for number, path in enumerate((one, two, one, two, one)):
        add(path, f"{number}\n")
        keeper.look([one, two])
        clock.advance(1)
    found = await tail({"web.1": one, "web.2": two}, 4)
    assert [(line.name, line.text) for line in found] == [
        ("web.2", "1"),
        ("web.1", "2"),
        ("web.2", "3"),
        ("web.1", "4"),
    ]
    assert [(line.at - found[0].at).total_seconds() for line in found] == [0, 1, 2, 3]


@pytest.mark.parametrize(("lines", "found"), [(0, []), (1, ["c"]), (3, ["a", "b", "c"]), (100, ["a", "b", "c"])])
async def test_as_many_lines_are_given_as_were_asked_for(lines: int, found: list[str], log: Path) -> None:
    add(log, "a\nb\nc\n")
    assert await end_of(log, lines) == found


async def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await end_of(tmp_path / "none.log", 10) == []


async def test_a_line_that_is_not_finished_is_not_given(log: Path) -> None:
    add(log, "whole\nhalf")
    assert await end_of(log, 10) == ["whole"]


async def test_lines_of_windows_empty_lines_and_what_is_no_text_are_lines_too(log: Path) -> None:
    add(log, b"one\r\n\n\xff\nlast\n")
    assert await end_of(log, 10) == ["one", "", "�", "last"]


async def test_a_bar_that_is_drawn_again_and_again_is_one_line(log: Path) -> None:
    add(log, "10 %\r50 %\r100 %\ndone\n")
    assert await end_of(log, 10) == ["10 %\r50 %\r100 %", "done"]


async def test_of_a_long_log_the_first_line_given_is_whole(log: Path) -> None:
    add(log, "".join(f"{number:06} {'x' * 140}\n" for number in range(8000)))
    lines = await end_of(log, 10_000)
    assert 6000 < len(lines) < 8000
    assert {len(line) for line in lines} == {147}
    assert lines[-1].startswith("007999 ")


async def test_of_a_long_log_a_last_line_that_is_not_finished_is_not_given(log: Path) -> None:
    add(log, "x" * 70 + "\n" + ("y" * 70 + "\n") * 20_000 + "half")
    assert (await end_of(log, 1)) == ["y" * 70]


async def test_a_follower_gets_what_comes_and_nothing_of_before(log: Path) -> None:
    add(log, "before\n")
    async with Reader({"web.1": log}) as reader:
        add(log, "one\ntwo\n")
        await eventually(lambda: len(reader.read) == 2, 30)
        add(log, "three\n")
        await eventually(lambda: len(reader.read) == 3, 30)
        await reader.looks_again()
    assert reader.read == [("web.1", "one"), ("web.1", "two"), ("web.1", "three")]


async def test_a_follower_may_begin_with_the_end_and_misses_nothing_between(log: Path) -> None:
    add(log, "a\nb\nc\nhalf ")
    async with Reader({"web.1": log}, lines=2) as reader:
        add(log, "a line\nd\n")
        await eventually(lambda: len(reader.read) == 4, 30)
    assert reader.lines == ["b", "c", "half a line", "d"]


async def test_a_line_that_is_printed_in_pieces_is_given_whole(log: Path) -> None:
    add(log, "begun before ")
    async with Reader({"web.1": log}) as reader:
        for piece in ("and ", "ended ", "later\n"):
            add(log, piece)
            await reader.looks_again()
    assert reader.lines == ["begun before and ended later"]


async def test_a_bar_that_is_drawn_again_and_again_holds_nothing_up(log: Path) -> None:
    async with Reader({"web.1": log}) as reader:
        add(log, "10 %\r50 %\r")
        await reader.looks_again()
        add(log, "100 %\nnext\n")
        await eventually(lambda: len(reader.read) == 2, 30)
    assert reader.lines == ["10 %\r50 %\r100 %", "next"]


async def test_a_log_that_was_cut_is_read_from_its_beginning(log: Path) -> None:
    add(log, "a long line of before\n")
    async with Reader({"web.1": log}) as reader:
        log.write_text("")
        add(log, "new\n")
        await eventually(lambda: reader.lines == ["new"], 30)


async def test_the_log_of_an_instance_that_comes_is_read_from_its_beginning(log: Path, tmp_path: Path) -> None:
    async with Reader({"web.1": log}) as reader:
        other = tmp_path / "2.log"
        add(other, "first words\n")
        reader.files["web.2"] = other
        await eventually(lambda: reader.read == [("web.2", "first words")], 30)
        del reader.files["web.1"]
        await reader.looks_again()  # it has had its last word
        add(log, "of one that is gone\n")
        await reader.looks_again()
    assert len(reader.read) == 1


async def test_much_at_once_is_given_line_by_line(log: Path) -> None:
    async with Reader({"web.1": log}) as reader:
        add(log, "".join(f"{number:06} {'x' * 90}\n" for number in range(20_000)))
        await eventually(lambda: len(reader.read) == 20_000, 30)
    assert [int(line[:6]) for line in reader.lines] == list(range(20_000))
    assert {len(line) for line in reader.lines} == {97}


async def test_a_line_without_an_end_is_given_in_pieces(log: Path) -> None:
    async with Reader({"web.1": log}) as reader:
        add(log, "x" * 2_500_000 + "\nnext\n")
        await eventually(lambda: reader.read and reader.lines[-1] == "next", 30)
    assert "".join(reader.lines[:-1]) == "x" * 2_500_000
