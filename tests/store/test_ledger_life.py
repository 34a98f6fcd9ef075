"""The ledger as the daemon has it: one on a data directory, whatever daemons before this one have left."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer import processes
from balancer.errors import LedgerUnavailable
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_life import LedgerLife
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Let no ledger run on, however a test ends."""
    yield
    processes.kill_marked("BALANCER_LEDGER", str(tmp_path))


async def test_one_that_was_not_found_at_the_start_is_ours_as_soon_as_another_cannot_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after the death of a daemon that had just begun it: it has no environment yet by which it is found."""
    caplog.set_level("INFO")
    client = LedgerClient(tmp_path / "run" / "ledger.sock")
    before, ours = LedgerLife(tmp_path, client), LedgerLife(tmp_path, client)
    await before.begin()
    first = (await client.ping()).pid
    before.abandon()
    with monkeypatch.context() as unseen:
        unseen.setattr(processes, "find", lambda *_: None)
        await ours.begin()
    keeping = asyncio.ensure_future(ours.keep_alive())
    await eventually(lambda: "ledger.adopted" in [record.getMessage() for record in caplog.records], 30)
    assert (await client.ping()).pid == first
    keeping.cancel()
    await ours.end()
    with pytest.raises(LedgerUnavailable):
        await client.ping()
