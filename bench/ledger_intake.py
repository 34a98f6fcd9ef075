"""How many lines of the edge log the ledger takes in, a second of one core's time.

    make bench-ledger-intake [ARGS="--lines 200000"]

A log as HAProxy writes it, of counted visitors: each brings the cookie back once (the exposure), and then does ten
things. Four in five events come by beacon, one in five in a header of the app's answer; one in five has a value, one
in ten an id. The process that takes it in is the ledger's own (`python -m balancer.ledgerd`); what it costs is all of
its CPU time, DuckDB's threads and the kernel's part included, until it is no longer behind.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from balancer.errors import LedgerUnavailable
from balancer.stats.cells import SplitCells, SplitQuestion
from balancer.stats.tally import Intake
from balancer.store.ledger_client import LedgerClient

LINES = 300_000
# 10: a visitor who opens a few pages.
EVENTS_EACH = 10
STARTED_AT = 1_700_000_000_000
_READY_SECONDS = 30.0
_DONE_SECONDS = 300.0
_NAMES = ("view", "view", "view", "click", "scroll", "signup", "add-to-cart", "purchase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    lines: int
    megabytes: float
    cpu_seconds: float
    wall_seconds: float
    lost: int
    """Lines written that are neither in the ledger nor counted as refused."""

    @property
    def events_per_second(self) -> float:
        """Lines a second of one core's time."""
        return self.lines / self.cpu_seconds


def write_edge_log(path: Path, lines: int) -> None:
    """Write a log of `lines` lines, the same each time."""
    with path.open("w", encoding="utf-8") as log:
        log.writelines(_lines(lines))


def _lines(count: int) -> Iterator[str]:
    dice = random.Random(60)
    visitors = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(max(1, count // (EVENTS_EACH + 1)))]
    came: set[str] = set()
    for number in range(count):
        # Visitors come and go: at any time a thousand of them are about.
        middle = number * len(visitors) // count
        visitor = visitors[min(len(visitors) - 1, max(0, middle + dice.randrange(-500, 500)))]
        variant = ("master", "test")[int(visitor[0], 16) % 2]
        exposed = visitor not in came
        came.add(visitor)
        at = STARTED_AT + number
        cookie = f"{visitor}.s1.{variant}.1.1.{STARTED_AT - 1000}"
        event, body, served = "-", "-", "web/<NOSRV>"
        if exposed or dice.random() < 0.2:
            served = f"{variant}--shop/r3-i4"
            event = "-" if exposed else _header(dice, number)
        else:
            body = json.dumps(_said(dice, number), separators=(",", ":")).replace('"', '\\"')
        yield (
            f'{{"n":{number},"p":71,"t":{at},"app":"shop","backend":"{variant}--shop","cookie":"{cookie}",'
            f'"exposed":"{"1" if exposed else "-"}","served":"{served}","status":{204 if body != "-" else 200},'
            f'"ms":0,"event":"{event}","body":"{body}"}}\n'
        )


def _said(dice: random.Random, number: int) -> dict[str, object]:
    said: dict[str, object] = {"name": dice.choice(_NAMES)}
    if dice.random() < 0.2:
        said["value"] = round(dice.expovariate(1 / 40), 2)
    if dice.random() < 0.1:
        said["id"] = f"e-{number}"
    return said


def _header(dice: random.Random, number: int) -> str:
    said = _said(dice, number)
    value = f"={said['value']}" if "value" in said else ""
    return f"{said['name']}{value}" + (f";id={said['id']}" if "id" in said else "")


def measure(lines: int = LINES) -> Measured:
    """Let a ledger process of its own take in a log of `lines` lines, and return what it cost."""
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made:
        directory = Path(made)
        (directory / "edge").mkdir()
        path = directory / "edge" / "000001.log"
        ledger = _started(directory)
        try:
            client = LedgerClient(directory / "run" / "ledger.sock")
            _until(lambda: _behind(client) == 0, _READY_SECONDS)
            write_edge_log(directory / "written", lines)
            size = (directory / "written").stat().st_size
            cpu_before, began = _cpu_seconds(ledger.pid), time.monotonic()
            (directory / "written").rename(path)  # all at once: how fast it is when it has something to catch up with
            _until(lambda: _behind(client) == 0, _DONE_SECONDS)
            cpu, wall = _cpu_seconds(ledger.pid) - cpu_before, time.monotonic() - began
            cells, intake = asyncio.run(_asked(client))
        finally:
            ledger.terminate()
            ledger.wait(_READY_SECONDS)
    taken = intake.accepted + intake.duplicate + intake.refused + sum(cell.visitors for cell in cells.exposed)
    return Measured(lines=lines, megabytes=size / 1e6, cpu_seconds=cpu, wall_seconds=wall, lost=lines - taken)


async def _asked(client: LedgerClient) -> tuple[SplitCells, Intake]:
    everybody = SplitQuestion(
        app="shop", split="s1", phases=(1,), variants=("master", "test"), measures=(), as_of=time.time_ns() // 1_000_000
    )
    return await client.cells(everybody), await client.intake("shop")


def _started(directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "ledger.log").open("wb") as output:
        return subprocess.Popen([sys.executable, "-m", "balancer.ledgerd", str(directory)], stderr=output)


def _behind(client: LedgerClient) -> int | None:
    try:
        return asyncio.run(client.ping()).behind_bytes
    except LedgerUnavailable:
        return None


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)


def main() -> None:
    """Measure three times, and print each and the median."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--lines", type=int, default=LINES)
    asked.add_argument("--runs", type=int, default=3)
    options = asked.parse_args()
    runs = [measure(options.lines) for _ in range(options.runs)]
    print(f"{'lines':>9} {'MB':>6} {'CPU s':>7} {'wall s':>7} {'lines/s of a core':>18} {'lost':>5}")
    for run in runs:
        print(
            f"{run.lines:>9,} {run.megabytes:>6.1f} {run.cpu_seconds:>7.2f} {run.wall_seconds:>7.2f} "
            f"{run.events_per_second:>18,.0f} {run.lost:>5}"
        )
    figures = {
        "ledger_events_per_s": round(statistics.median(run.events_per_second for run in runs)),
        "events_lost": sum(run.lost for run in runs),
    }
    print(json.dumps(figures | {"runs": [asdict(run) for run in runs]}))


if __name__ == "__main__":
    main()
