"""The pulse: what the edge log says of the last seconds."""

import json
from pathlib import Path

import pytest

from balancer.proxy.accesslog import read_line
from balancer.services.pulse import Beat, Pulse
from balancer.testing import FakeClock

pytestmark = pytest.mark.anyio
SECONDS = 2.0
VISITOR = "01234567-89ab-4cde-8f01-23456789abcd"


def line(number: int, *, exposed: bool = False, event: str = "-", status: int = 200, variant: str = "test") -> bytes:
    said = {
        "n": number,
        "p": 1,
        "t": 1_700_000_000_000,
        "app": "shop",
        "backend": f"{variant}--shop",
        "cookie": f"{VISITOR}.s1.{variant}.1.1.1700000000000",
        "exposed": "1" if exposed else "-",
        "status": status,
        "event": event,
    }
    return json.dumps(said).encode() + b"\n"


class Log:
    """An edge log, and what follows it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.pulse = Pulse(directory, read_line, self.clock)

    def write(self, *lines: bytes, file: str = "000001.log") -> None:
        with (self.directory / file).open("ab") as log:
            log.write(b"".join(lines))

    async def look(self, seconds: float = SECONDS) -> dict[tuple[str, str], Beat] | None:
        self.clock.advance(seconds)
        found = await self.pulse.present()
        return None if found is None else dict(found)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


async def test_visitors_and_events_are_counted_by_branch_and_second(log: Log) -> None:
    log.write(line(0, exposed=True, event="old"))
    assert await log.look() is None, "what was there before somebody looked is not the present"
    log.write(
        line(1, exposed=True),
        line(2, event="bought=5,seen"),
        line(3, status=500),
        line(4, event="seen", variant="master"),
    )
    assert await log.look() == {
        ("shop", "test"): Beat(visitors=0.5, events=1.0),
        ("shop", "master"): Beat(visitors=0.0, events=0.5),
    }


async def test_a_line_that_is_not_whole_yet_is_counted_when_it_is(log: Log) -> None:
    await log.look()
    whole = line(1, exposed=True)
    log.write(whole[:40])
    assert await log.look() == {}
    log.write(whole[40:])
    assert await log.look() == {("shop", "test"): Beat(visitors=0.25, events=0.0)}


async def test_a_new_file_is_read_from_its_beginning_and_one_that_went_is_forgotten(log: Log) -> None:
    log.write(line(0, exposed=True))
    await log.look()
    (log.directory / "000001.log").unlink()
    log.write(line(1, exposed=True), file="000002.log")
    assert await log.look() == {("shop", "test"): Beat(visitors=0.5, events=0.0)}


async def test_what_the_ledger_has_given_back_to_the_disk_is_no_line(log: Log) -> None:
    await log.look()
    log.write(b"\0" * 4096 + b"\n", line(1, exposed=True))
    assert await log.look() == {("shop", "test"): Beat(visitors=0.5, events=0.0)}


async def test_where_too_much_was_written_nothing_is_told_rather_than_a_guess(log: Log) -> None:
    await log.look()
    log.write(line(1, exposed=True) * 12_000)
    assert await log.look() is None
    log.write(line(2, exposed=True))
    assert await log.look() == {("shop", "test"): Beat(visitors=0.5, events=0.0)}


async def test_who_begins_to_look_again_sees_the_present_only(log: Log) -> None:
    await log.look()
    log.write(line(1, exposed=True))
    await log.look()
    log.write(line(2, exposed=True) * 100)
    assert await log.look(3600) is None
    assert await log.look() == {}


async def test_however_many_look_it_is_read_once(log: Log) -> None:
    await log.look()
    log.write(line(1, exposed=True))
    first = await log.look()
    log.write(line(2, exposed=True))
    assert await log.look(0.1) == first
