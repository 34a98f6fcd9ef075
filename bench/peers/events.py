"""Events at the edge: beacons that HAProxy answers itself, a line of the edge log each, and the ledger that reads it."""

import asyncio
import csv
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from balancer.store.ledger_client import LedgerClient
from peers.cookies import cookie
from peers.cores import cpu_seconds
from peers.load import load, request
from peers.peer import Peer
from waiting import eventually, until

_BEACONS = [
    request(cookie(number, "1"), "POST", "/_balancer/events", '{"name":"purchase","value":19.99}')
    for number in range(64)
]
# 64: beacons are answered at once, so that as many as wait keep the core busy.
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacons:
    """What became of the beacons of a run."""

    per_second: float
    cpu_us: float
    answered: int
    """By HAProxy's own count."""
    lost: int
    """Answered with 204, and without a line."""


def send_beacons(peer: Peer, *, core: int, directory: Path, seconds: int) -> Beacons:
    """Send beacons as fast as they are answered, and compare HAProxy's count of its answers with the lines."""
    log, admin = peer.exposures, directory / "balancer" / "admin.sock"
    assert log is not None
    _settle(log)
    count, lines, used = answered(admin), _lines(log), cpu_seconds(peer.pid)
    seen = load(peer.port, _BEACONS, core=core, directory=directory, seconds=seconds, connections=_CONNECTIONS)
    used = cpu_seconds(peer.pid) - used
    assert not seen.errors, seen
    _settle(log)
    count = answered(admin) - count
    assert count >= seen.requests, "wrk has more answers than HAProxy has given"
    return Beacons(
        per_second=seen.per_second,
        cpu_us=used / count * 1e6,
        answered=count,
        lost=count - (_lines(log) - lines),
    )


def ledger_rate(log: Path, directory: Path) -> float:
    """Return how many lines of the edge log the ledger process takes in for a second of CPU time."""
    data = directory / "data"
    process = subprocess.Popen([sys.executable, "-m", "balancer.ledgerd", str(data)], stdout=subprocess.DEVNULL)
    try:
        return asyncio.run(_take_in(process.pid, log, data))
    finally:
        process.terminate()
        process.wait(30)


async def _take_in(pid: int, log: Path, data: Path) -> float:
    ledger = LedgerClient(data / "run" / "ledger.sock")
    await eventually(lambda: (data / "run" / "ledger.sock").exists(), 30)
    await ledger.ping()
    lines, used = _lines(log), cpu_seconds(pid)
    os.link(log, data / "edge" / log.name)

    async def has_all() -> bool:
        return not (await ledger.ping()).behind_bytes

    await eventually(has_all, 120)
    return lines / (cpu_seconds(pid) - used)


def answered(admin: Path) -> int:
    """Return how many answers of 2xx HAProxy says that it has given."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(admin))
        connection.sendall(b"show stat web 1 -1\n")
        text = connection.makefile().read()
    (row,) = csv.DictReader(line for line in text.removeprefix("# ").splitlines() if line)
    return int(row["hrsp_2xx"])


def _lines(log: Path) -> int:
    with log.open("rb") as file:
        return sum(line.startswith(b"{") for line in file)


def _settle(log: Path) -> None:
    """Wait until nothing was written for half a second: what was under way has ended."""
    until(lambda: log.stat().st_mtime < time.time() - 0.5, 30)
