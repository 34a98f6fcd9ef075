"""Whether the ledger keeps up for a minute: beacons through HAProxy, batches by the API, and a report every second.

    make bench-ledger-sustained [ARGS="--seconds 60 --only batches"]

Two parts, each on a whole platform of its own with a split of 100,000 visitors. Beacons: `wrk` sends them to HAProxy,
with a pause on each of its connections that gives the rate, a little above 30,000 a second. Batches: this process sends
bodies of 10,000 events that it has made before, when they are due, and times each from then until its 202; one event
in ten has an id, which no other has. Meanwhile a report of the split is asked for each second.

Then everything that was answered must be in the ledger once: by HAProxy's own count of its answers, or by that of the
202, and by the rows of the table. All of it shares two cores; what the senders take of them is printed, too.
"""

import argparse
import asyncio
import json
import os
import queue
import random
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from balancer.stats.raw import RawQuestion
from balancer.store.ledger_client import LedgerClient
from peers import cores
from peers.cookies import AT, cookie
from peers.events import answered
from peers.load import load, request
from peers.peer import BRANCHES
from running import Running, running
from waiting import until

APP = "shop"
VISITORS = 100_000
BATCH = 10_000
_NAMES = ("view", "view", "view", "view", "view", "click", "click", "signup", "purchase")
# 1,000 of the visitors: what wrk has ready at once.
_BEACONS = 1000
# 64 connections of which most wait, 55 ms after 32 requests: a little above 30,000 a second.
_CONNECTIONS, _PAUSE_EACH, _PAUSE_MS = 64, 32, 55
# 20 bodies of 1.3 MB: so many are made before, and sent in turns.
_BODIES = 20
# 16: of ten that are due in a second some may take longer than one.
_SENDERS = 16
_ID_MARK = b"~~~~~~"
_IDLE_SECONDS = 10.0
_DONE_SECONDS = 300.0


@dataclass(slots=True)
class Asked:
    """The reports that were asked for."""

    seconds: list[float] = field(default_factory=list)
    skipped: int = 0
    """When the one before was not answered yet."""
    behind_bytes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Sent:
    """What was sent, and what was answered."""

    accepted: int = 0
    p50_ms: float = 0.0
    """Half of what was answered waited no longer, and 99 of 100 no longer than `p99_ms`."""
    p99_ms: float = 0.0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def platform_with_split() -> Iterator[Running]:
    """Give a platform with an app whose visitors were all exposed."""
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made, running(Path(made)) as platform:
        repository = platform.create(APP)
        for branch in BRANCHES:
            repository.deploy(branch, branch)
        idle = ", ".join(f"{name} {_memory(pid, 'VmRSS'):.0f} MB" for name, pid in _pids(platform).items())
        print(f"idle, with one app: {idle}", flush=True)
        platform.split(APP, **dict.fromkeys(BRANCHES, 50))
        split = platform.client.split(APP).id
        written = platform.data / "written"
        with written.open("w") as log:
            log.writelines(_exposures(split))
        written.rename(platform.data / "edge" / "000000.log")
        until(lambda: _behind(platform) == 0, _DONE_SECONDS)
        yield platform


def _exposures(split: str) -> Iterator[str]:
    for number in range(VISITORS):
        yield (
            f'{{"n":{number},"p":71,"t":{AT},"app":"{APP}","backend":"{BRANCHES[number % 2]}--{APP}",'
            f'"cookie":"{cookie(number, "0", split)}","exposed":"1","served":"{BRANCHES[number % 2]}--{APP}/r1-i1",'
            '"status":200,"ms":0,"event":"-","body":"-"}\n'
        )


def beacons(platform: Running, seconds: int, pause_ms: int, directory: Path) -> Sent:
    """Send beacons, and return how many HAProxy says that it has answered."""
    dice = random.Random(60)
    split = platform.client.split(APP).id
    texts = [
        request(cookie(number, "1", split), "POST", "/_balancer/events", json.dumps(_event(dice)))
        for number in range(_BEACONS)
    ]
    admin = platform.data / "haproxy" / "admin.sock"
    before = answered(admin)
    seen = load(
        platform.port, texts, core=None, directory=directory, seconds=seconds, connections=_CONNECTIONS,
        pause_ms=pause_ms, pause_each=_PAUSE_EACH,
    )  # fmt: skip
    time.sleep(0.5)  # the last ones are answered
    count = answered(admin) - before
    return Sent(
        accepted=count,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        failed=["wrk"] * seen.errors,
        seconds=seen.seconds,
    )


def batches(platform: Running, seconds: int, per_second: int) -> Sent:
    """Send batches when they are due, and return what became of them."""
    bodies = [_body(random.Random(number)) for number in range(_BODIES)]
    due: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
    token = (platform.data / "operator.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent, adding = Sent(), threading.Lock()
    waits: list[float] = []

    def send() -> None:
        connection = HTTPConnection("127.0.0.1", platform.admin_port, timeout=60)
        while work := due.get():
            at, body = work
            connection.request("POST", f"/api/apps/{APP}/events", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            with adding:
                waits.append(time.monotonic() - at)
                if answer.status == 202:
                    sent.accepted += json.loads(said)["accepted"]
                else:
                    sent.failed.append(f"{answer.status} {said[:200]!r}")

    senders = [threading.Thread(target=send) for _ in range(_SENDERS)]
    for sender in senders:
        sender.start()
    began = time.monotonic()
    for number in range(per_second * seconds // BATCH):
        at = began + number * BATCH / per_second
        body = bodies[number % _BODIES].replace(_ID_MARK, b"%06d" % number)
        time.sleep(max(0.0, at - time.monotonic()))
        due.put((at, body))
    for _ in senders:
        due.put(None)
    for sender in senders:
        sender.join()
    sent.seconds = time.monotonic() - began
    sent.p50_ms, sent.p99_ms = _part(waits, 0.5) * 1000, _part(waits, 0.99) * 1000
    return sent


def _event(dice: random.Random) -> dict[str, object]:
    name = dice.choice(_NAMES)
    return {"name": name} | ({"value": round(dice.expovariate(1 / 40), 2)} if name == "purchase" else {})


def _body(dice: random.Random) -> bytes:
    now = int(time.time() * 1000)
    events = []
    for place in range(BATCH):
        visitor = cookie(dice.randrange(VISITORS), "1").partition(".")[0]
        sent = {"visitor": visitor, **_event(dice), "ts": now - dice.randrange(60_000)}
        events.append(sent | ({"id": f"e-{_ID_MARK.decode()}-{place}"} if place % 10 == 0 else {}))
    return json.dumps(events, separators=(",", ":")).encode()


def measure(send: Callable[[Running], Sent], every_seconds: float) -> dict[str, object]:
    """Let `send` send to a platform while reports are asked for, and return what was seen."""
    with platform_with_split() as platform:
        time.sleep(_IDLE_SECONDS / 2)
        idle, load_before = _idle(platform), os.getloadavg()[0]
        pids = _pids(platform)
        before = {name: _cpu_seconds(pid, name) for name, pid in pids.items()}
        ours = _our_seconds()
        with _asking(platform, every_seconds) as asked:
            sent = send(platform)
        ours = _our_seconds() - ours
        behind, ended = _behind(platform) or 0, time.monotonic()
        until(lambda: _behind(platform) == 0, _DONE_SECONDS)
        caught_up = time.monotonic() - ended
        used = {name: _cpu_seconds(pid, name) - before[name] for name, pid in pids.items()}
        peaks = {name: _memory(pid, "VmHWM") for name, pid in pids.items()}
        rows = _rows(platform)
        kept = (platform.data / "ledger.duckdb").stat().st_size / 1e6
    return {
        "events": sent.accepted,
        "per_second": round(sent.accepted / sent.seconds),
        "lost": sent.accepted - rows,
        "failed": len(sent.failed),
        "p50_ms": round(sent.p50_ms, 1),
        "p99_ms": round(sent.p99_ms, 1),
        "most_behind_mb": round(max(asked.behind_bytes, default=0) / 1e6, 1),
        "behind_at_end_mb": round(behind / 1e6, 1),
        "caught_up_s": round(caught_up, 2),
        "reports": len(asked.seconds),
        "reports_skipped": asked.skipped,
        "report_p50_s": round(_part(asked.seconds, 0.5), 2),
        "report_longest_s": round(max(asked.seconds, default=0), 2),
        "cpu_us_per_event": {name: round(each / sent.accepted * 1e6, 2) for name, each in used.items()},
        "cores": {name: round(each / sent.seconds, 2) for name, each in (used | {"senders": ours}).items()},
        "peak_mb": {name: round(each) for name, each in peaks.items()},
        "ledger_file_mb": round(kept),
        "idle": idle,
        "load": f"{load_before:.1f} - {os.getloadavg()[0]:.1f}",
    }


@contextmanager
def _asking(platform: Running, every_seconds: float) -> Iterator[Asked]:
    """Ask for a report every so often, and how far the ledger is behind."""
    asked, ended = Asked(), threading.Event()

    def ask() -> None:
        due = time.monotonic()
        while every_seconds and not ended.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            platform.client.report(APP)
            asked.seconds.append(time.monotonic() - began)
            asked.behind_bytes.append(_behind(platform) or 0)
            due += every_seconds
            while due < time.monotonic():
                due += every_seconds
                asked.skipped += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield asked
    finally:
        ended.set()
        asking.join()


def _rows(platform: Running) -> int:
    """Return how many events the table has."""
    client = LedgerClient(platform.data / "run" / "ledger.sock")
    return sum(cell.count for cell in asyncio.run(client.raw(RawQuestion(app=APP))).cells)


def _behind(platform: Running) -> int | None:
    client = LedgerClient(platform.data / "run" / "ledger.sock")
    return asyncio.run(client.ping()).behind_bytes


def _idle(platform: Running) -> dict[str, object]:
    """Return memory and share of a core of each process while nothing happens."""
    pids = _pids(platform)
    before = {name: _cpu_seconds(pid, name) for name, pid in pids.items()}
    time.sleep(_IDLE_SECONDS)
    return {
        name: {
            "mb": round(_memory(pid, "VmRSS")),
            "percent": round((_cpu_seconds(pid, name) - before[name]) / _IDLE_SECONDS * 100, 1),
        }
        for name, pid in pids.items()
    }


def _pids(platform: Running) -> dict[str, int]:
    return {"daemon": platform.daemon_pid(), "ledger": platform.ledger_pid(), "haproxy": platform.proxy_pid()}


def _cpu_seconds(pid: int, name: str) -> float:
    """Return what a process has used; the daemon's children have rows of their own, HAProxy's workers have not."""
    return cores.cpu_seconds(pid) if name == "haproxy" else cores.own_seconds(pid)


def _memory(pid: int, what: str) -> float:
    """Return a line of a process's status that is in KiB, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) * 1024 / 1e6


def _part(of: Sequence[float], part: float) -> float:
    ordered = sorted(of)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def _our_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    return sum(
        each.ru_utime + each.ru_stime
        for each in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    """Measure both ways in, and print what was seen."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=int, default=60)
    asked.add_argument("--per-second", type=int, default=100_000)
    asked.add_argument("--pause-ms", type=int, default=_PAUSE_MS)
    asked.add_argument("--report-every", type=float, default=1.0)
    asked.add_argument("--only", choices=("beacons", "batches"))
    options = asked.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made:
        parts: dict[str, Callable[[Running], Sent]] = {
            "beacons": lambda platform: beacons(platform, options.seconds, options.pause_ms, Path(made)),
            "batches": lambda platform: batches(platform, options.seconds, options.per_second),
        }
        for name, send in parts.items():
            if options.only in (None, name):
                figures[name] = measure(send, options.report_every)
                print(name, json.dumps(figures[name], indent=1), flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
