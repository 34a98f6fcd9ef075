"""One-offs: a command run once in the tree and the environment of a release, for as long as somebody watches."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from balancer.errors import InvalidInput, NotFound
from balancer.process_table import family
from balancer.runner.one_off import RUN_MARK, OneOff, OneOffs
from balancer.runner.workspace import Workspace
from values import release
from waiting import eventually

pytestmark = pytest.mark.anyio
RELEASE = release(3)


class Place:
    """One-offs of a release with a tree, below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = Workspace(directory).create(RELEASE)
        self.one_offs = OneOffs(Workspace(directory), data_dir=directory, config_of=self._config)

    async def _config(self, release_id: int) -> Mapping[str, str]:
        return {"GREETING": "hello"}

    @contextlib.asynccontextmanager
    async def running(
        self, *command: str, with_input: bool = False, timeout: float | None = None
    ) -> AsyncIterator[OneOff]:
        """Run a command while the block lasts."""
        async with self.one_offs.run(RELEASE, command, with_input=with_input, timeout_seconds=timeout) as one_off:
            yield one_off

    async def result(self, *command: str, timeout: float | None = None) -> tuple[int | None, bytes, bytes]:
        """Return how a command ended, and what it wrote."""
        async with self.running(*command, timeout=timeout) as one_off:
            return await everything(one_off)

    def marked(self) -> bool:
        """Tell whether anything runs that a one-off of ours has started."""
        return bool(family(None, (RUN_MARK, str(self.directory))))


async def everything(one_off: OneOff) -> tuple[int | None, bytes, bytes]:
    """Return how a command ended, and what it wrote."""
    said = {"stdout": b"", "stderr": b""}
    async for name, chunk in one_off.output():
        said[name] += chunk
    return one_off.status, said["stdout"], said["stderr"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A release with a tree."""
    return Place(tmp_path)


async def test_it_runs_in_the_tree_with_the_config_vars_and_writes_both_streams(place: Place) -> None:
    found = await place.result("sh", "-c", "pwd; echo $GREETING $BALANCER_RELEASE; printf 'o\\0\\377' >&2; exit 3")
    assert found == (3, f"{place.tree}\nhello 3\n".encode(), b"o\0\xff")


async def test_a_signal_is_128_and_its_number(place: Place) -> None:
    assert (await place.result("sh", "-c", "kill -9 $$"))[0] == 137


async def test_a_flood_comes_whole(place: Place) -> None:
    status, out, _ = await place.result("sh", "-c", "head -c 20000000 /dev/zero")
    assert (status, len(out)) == (0, 20_000_000)


async def test_what_cannot_be_started_is_refused(place: Place) -> None:
    for command in ("nothing-like-this", "/", "a\0b"):
        with pytest.raises(InvalidInput, match="cannot be run in release 3 of shop"):
            await place.result(command)


async def test_what_is_piped_in_is_passed_on_and_its_end_too(place: Place) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield b"%d\n" % number * 100

    async with place.running("wc", "-l", with_input=True) as one_off:
        fed = asyncio.ensure_future(place.one_offs.find(one_off.id).feed(chunks()))
        assert await everything(one_off) == (0, b"100000\n", b"")
        await fed


async def test_input_that_nobody_reads_is_dropped(place: Place) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async with place.running("sh", "-c", "exec <&-; sleep 0.2; echo done", with_input=True) as one_off:
        fed = asyncio.ensure_future(one_off.feed(endless()))
        assert await everything(one_off) == (0, b"done\n", b"")
        await asyncio.wait_for(fed, 30)


async def test_without_input_it_reads_an_end(place: Place) -> None:
    assert await place.result("cat") == (0, b"", b"")


async def test_it_is_killed_after_its_time_with_all_that_it_started(place: Place) -> None:
    status, out, _ = await place.result("sh", "-c", "setsid sleep 600 & echo here; sleep 600", timeout=3)
    assert (status, out) == (124, b"here\n")
    assert not place.marked()


async def test_what_it_leaves_behind_does_not_keep_it(place: Place) -> None:
    assert await place.result("sh", "-c", "setsid sleep 600 & echo here") == (0, b"here\n", b"")
    assert not place.marked()


async def test_when_nobody_watches_any_more_it_is_killed(place: Place) -> None:
    async with place.running("sh", "-c", "setsid sleep 600 & echo here; sleep 600") as one_off:
        assert await anext(one_off.output()) == ("stdout", b"here\n")
        number = one_off.id
    await eventually(lambda: not place.marked(), 30)
    with pytest.raises(NotFound):
        place.one_offs.find(number)


async def test_what_a_killed_daemon_ran_is_ended_at_the_next_start(place: Place, tmp_path: Path) -> None:
    async with place.running("sleep", "600"):
        assert place.marked()
        await asyncio.to_thread(Place(tmp_path).one_offs.kill_all)
        assert not place.marked()
