"""The spool, on a real disk: what was acknowledged is synced and whole, and what is not there was refused."""

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.domain.entry import Batch
from balancer.domain.sent import SentBatch, SentEvent
from balancer.errors import SpoolFull
from balancer.store.spool import LEAST_FREE_BYTES, Spool
from balancer.store.spool_lines import line_of, read_line
from edge_lines import visitor
from waiting import eventually

pytestmark = pytest.mark.anyio
PLENTY = 1 << 40


def batch(number: int, events: int = 3) -> SentBatch:
    return SentBatch("shop", [SentEvent(visitor(number), number, "a", 1.0, None, None)] * events, {})


LINE_BYTES = len(line_of(batch(1)))


class Disk:
    """A directory, and the spools that a test opens on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.free_bytes = PLENTY
        self.opened: list[Spool] = []

    def spool(self, **bounds: int) -> Spool:
        self.opened.append(Spool(self.directory, free_bytes=lambda: self.free_bytes, **bounds))
        return self.opened[-1]

    def segments(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def numbers(self) -> list[int]:
        """Return the batches that are there, by the number of each, and check that each is whole."""
        found = []
        for name in self.segments():
            for line in (self.directory / name).read_bytes().split(b"\n")[:-1]:
                read = Batch()
                read_line(line, read)
                (number,) = {entry.ts for entry in read.all_entries()}
                found.append(number)
        return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    yield made
    for each in made.opened:
        each.close()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the size of the segment at each sync."""
    sizes: list[int] = []
    real = os.fdatasync

    def noted(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", noted)
    return sizes


async def test_what_was_written_is_there_and_was_synced(disk: Disk, syncs: list[int]) -> None:
    writing = disk.spool()
    for number in range(3):
        await writing.write(batch(number))
        assert syncs[-1] == sum((disk.directory / name).stat().st_size for name in disk.segments())
    assert disk.numbers() == [0, 1, 2]
    assert disk.segments() == ["000001.ndjson"]


async def test_nothing_is_made_before_something_is_written(disk: Disk) -> None:
    disk.spool().close()
    assert disk.segments() == []


async def test_batches_that_come_during_a_sync_share_the_next(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, syncs = threading.Event(), threading.Event(), []

    def slow(descriptor: int) -> None:
        syncs.append(descriptor)
        begun.set()
        assert go_on.wait(20)

    monkeypatch.setattr(os, "fdatasync", slow)
    writing = disk.spool()
    first = asyncio.ensure_future(writing.write(batch(0)))
    await asyncio.to_thread(begun.wait, 20)
    others = [asyncio.ensure_future(writing.write(batch(number))) for number in range(1, 50)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in (first, *others)), "acknowledged before the sync has ended"
    go_on.set()
    await asyncio.gather(first, *others)
    assert len(syncs) == 2
    assert disk.numbers() == list(range(50))


async def test_a_segment_that_is_full_is_followed_by_another(disk: Disk) -> None:
    writing = disk.spool(segment_bytes=2 * LINE_BYTES)
    for number in range(5):
        await writing.write(batch(number))
    assert disk.segments() == ["000001.ndjson", "000002.ndjson", "000003.ndjson"]
    assert disk.numbers() == list(range(5))


async def test_another_spool_goes_on_in_a_segment_of_its_own_and_cuts_a_torn_end_off(disk: Disk) -> None:
    first = disk.spool()
    await first.write(batch(0))
    first.close()
    segment = disk.directory / "000001.ndjson"
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:40])
    await disk.spool().write(batch(1))
    assert disk.segments() == ["000001.ndjson", "000002.ndjson"]
    assert segment.read_bytes() == whole
    assert disk.numbers() == [0, 1]


async def test_a_torn_end_without_any_line_before_it_is_cut_off_too(disk: Disk) -> None:
    torn = disk.directory / "000007.ndjson"
    torn.write_bytes(b"x" * (3 << 20))
    await disk.spool().write(batch(1))
    assert torn.stat().st_size == 0
    assert disk.segments() == ["000007.ndjson", "000008.ndjson"]


async def test_a_disk_that_is_nearly_full_refuses_and_goes_on_when_there_is_room(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    writing = disk.spool()
    disk.free_bytes = LEAST_FREE_BYTES - 1
    for _ in range(2):
        with pytest.raises(SpoolFull, match="15 MiB left"):
            await writing.write(batch(0))
    disk.free_bytes = LEAST_FREE_BYTES
    await writing.write(batch(1))
    assert disk.numbers() == [1]
    messages = [record.getMessage() for record in caplog.records if record.name.endswith("spool")]
    assert messages == ["spool.full", "spool.takes_in"]


async def test_a_ledger_too_far_behind_refuses_until_it_has_read(disk: Disk) -> None:
    writing = disk.spool(kept_bytes=10 * LINE_BYTES, segment_bytes=LINE_BYTES)
    refused = []
    for number in range(20):
        try:
            await writing.write(batch(number))
        except SpoolFull as reason:
            refused.append(str(reason))
    kept = disk.numbers()
    assert 10 <= len(kept) <= 12
    assert len(refused) == 20 - len(kept)
    assert all("wait for the ledger" in reason for reason in refused)
    for name in disk.segments()[:-1]:
        (disk.directory / name).unlink()
    await writing.write(batch(99))
    assert disk.numbers() == [kept[-1], 99]


async def test_more_than_may_wait_is_refused_at_once(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: go_on.wait(20))
    writing = disk.spool(waiting_bytes=3 * LINE_BYTES)
    waiting = [asyncio.ensure_future(writing.write(batch(number))) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(SpoolFull, match="keep up"):
        await writing.write(batch(3))
    go_on.set()
    await asyncio.gather(*waiting)
    await writing.write(batch(4))
    assert disk.numbers() == [0, 1, 2, 4]


@pytest.mark.parametrize("room", [0, 1, LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 2 * LINE_BYTES, 3 * LINE_BYTES - 1])
async def test_where_the_disk_is_full_in_the_middle_the_whole_batches_stay_and_the_others_are_refused(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    writing = disk.spool()
    await writing.write(batch(0))
    left, real = room, os.write

    def bounded(descriptor: int, rest: memoryview) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, rest[:left])
        left -= count
        return count

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", bounded)
        lines = [line_of(batch(number)) for number in (1, 2, 3)]
        failures = writing._commit(lines)  # as one commit, which only chance makes of three calls
    whole = room // LINE_BYTES
    assert [failure is None for failure in failures] == [True] * whole + [False] * (3 - whole)
    assert all(isinstance(failure, SpoolFull) for failure in failures[whole:])
    assert disk.numbers() == list(range(whole + 1))
    await writing.write(batch(9))
    assert disk.numbers() == [*range(whole + 1), 9]
    assert disk.segments() == ["000001.ndjson"]


async def test_after_a_sync_that_failed_another_segment_begins(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = disk.spool()

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(SpoolFull, match="Input/output error"):
            await writing.write(batch(0))
    await writing.write(batch(1))
    assert disk.segments() == ["000001.ndjson", "000002.ndjson"]


async def test_who_goes_away_harms_nobody(disk: Disk) -> None:
    writing = disk.spool()
    gone = asyncio.ensure_future(writing.write(batch(0)))
    await asyncio.sleep(0)
    gone.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gone
    await writing.write(batch(1))
    await eventually(lambda: disk.numbers() in ([0, 1], [1]), 30)


async def test_one_that_is_closed_has_written_what_waited_and_takes_nothing_more(disk: Disk) -> None:
    writing = disk.spool()
    waiting = [asyncio.ensure_future(writing.write(batch(number))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writing.close)
    await asyncio.gather(*waiting)
    assert disk.numbers() == list(range(20))
    with pytest.raises(SpoolFull, match="ending"):
        await writing.write(batch(99))
