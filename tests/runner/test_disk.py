"""The disk of the data directory."""

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from balancer.errors import DiskFull
from balancer.runner import disk
from balancer.runner.disk import Disk
from waiting import eventually

pytestmark = pytest.mark.anyio


async def looked(watched: Disk) -> None:
    """Let it look three times, and no longer."""
    looks = 0

    def usage(path: Path) -> object:
        nonlocal looks
        looks += 1
        return shutil.disk_usage(path)

    with pytest.MonkeyPatch.context() as counting:
        counting.setattr(disk, "shutil", SimpleNamespace(disk_usage=usage))
        watching = asyncio.ensure_future(watched.watch())
        await eventually(lambda: looks > 3, 30)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def test_it_knows_how_much_room_there_is(tmp_path: Path) -> None:
    assert Disk(tmp_path).free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.2)
    Disk(tmp_path).check_room()


def test_a_push_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_PUSH_BYTES", 1 << 60)
    with pytest.raises(DiskFull, match="No space left"):
        Disk(tmp_path).check_room()


async def test_little_room_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "_LOW_BYTES", 1 << 60)
    monkeypatch.setattr(disk, "_LOOK_SECONDS", 0.001)
    await looked(Disk(tmp_path))
    assert [record.message for record in caplog.records] == ["disk.low"]


async def test_a_full_disk_is_an_error_that_is_said_once_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "_LOW_BYTES", 0)
    monkeypatch.setattr(disk, "_LOOK_SECONDS", 0.001)
    watched = Disk(tmp_path)
    for bound in (1 << 60, 0, 1 << 60):
        told = len(caplog.records)
        monkeypatch.setattr(disk, "_PUSH_BYTES", bound)
        await looked(watched)
        assert [record.message for record in caplog.records[told:]] == (["disk.full"] if bound else [])


async def test_little_room_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_LOW_BYTES", 1 << 60)
    monkeypatch.setattr(disk, "_LOOK_SECONDS", 0.001)
    told: list[int] = []

    async def remember(free_bytes: int) -> None:
        told.append(free_bytes)

    watched = Disk(tmp_path)
    watched.on_low = remember
    await looked(watched)
    assert len(told) == 1
    assert told[0] == pytest.approx(watched.free_bytes, rel=0.2)
