"""`make bench-ledger`: the report's question, asked of the ledger and, in turns with it, of chDB and PostgreSQL.

    make bench-ledger [ARGS="--events 1000000"]   # 10 M, unless told otherwise, and a tenth of that
    make bench-ledger ARGS="--large"              # and ten times as many, of the ledger alone

One split of two phases and two variants: who signed up, and what was earned, a visitor, within three days. The ledger
is its own process (`python -m balancer.ledgerd`) with the engine as shipped; all stores have the same rows, and have to
give the same answer. The ledger is asked what it was not asked before (report), and then, each time with a thousand new
lines, what it has kept the finished days of (again). Of each store the quickest round stands in the table, for whoever
shares the machine; the seconds of processor beside it are nearly the same whoever does. The last line is JSON; the
figures are of this machine and this run.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from balancer.errors import LedgerUnavailable
from balancer.stats.cells import SplitCells
from balancer.stats.raw import RawQuestion
from balancer.store.ledger_client import LedgerClient
from ledger_data import make_ledger, question
from ledger_intake import write_edge_log
from stores.chdb_store import Chdb, chdb
from stores.postgres import Postgres, postgres
from stores.rows import Answer, give

EVENTS = 10_000_000
_ROUNDS = 5
# 1,000: what comes in a few seconds on a busy site.
_NEW_LINES = 1000
# 60 s: a ledger of 100 M events is open at once; the wait is for a busy machine.
_READY_SECONDS = 60.0
console = Console(width=120)
T = TypeVar("T")


@dataclass(slots=True)
class Asked:
    """How long a question took, round by round."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Seconds of the quickest round."""
        return min(self.seconds)

    @property
    def best_cpu(self) -> float:
        """Seconds of processor of the cheapest round."""
        return min(self.cpu_seconds)


class Ledger:
    """The ledger's own process, on a ledger that is there."""

    name = "balancer"

    def __init__(self, directory: Path, process: subprocess.Popen[bytes]) -> None:
        self._directory = directory
        self.pid = process.pid
        self.client = LedgerClient(directory / "run" / "ledger.sock")
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "ledger.log").read_text()[-2000:])
            time.sleep(0.05)
        self.idle_mb = self.memory_mb("VmRSS")

    def ask(self, suffix: str = "") -> SplitCells:
        """Return the answer to the report's question."""
        return asyncio.run(self.client.cells(question(suffix)))

    def bring(self, number: int) -> None:
        """Write some new lines to the edge log, and wait until they are in."""
        write_edge_log(self._directory / "written", _NEW_LINES)
        (self._directory / "written").rename(self._directory / "edge" / f"{number + 1:06}.log")
        deadline = time.monotonic() + _READY_SECONDS
        while asyncio.run(self.client.ping()).behind_bytes:
            if time.monotonic() > deadline:
                raise TimeoutError("the ledger does not take in what is new")
            time.sleep(0.05)

    def memory_mb(self, kind: str) -> float:
        """Return `VmRSS`, what the process has, or `VmHWM`, the most it had."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024

    def _answers(self) -> bool:
        try:
            asyncio.run(self.client.ping())
        except LedgerUnavailable:
            return False
        return True


@contextlib.contextmanager
def serving(directory: Path, ledger: Path) -> Iterator[Ledger]:
    """Give a ledger process on the file `ledger`, which it has while it runs, and end it."""
    home = directory / f"of-{ledger.stem}"
    (home / "edge").mkdir(parents=True)
    ledger.rename(home / "ledger.duckdb")
    with (home / "ledger.log").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "balancer.ledgerd", str(home)], stderr=output)
    try:
        yield Ledger(home, process)
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)
        (home / "ledger.duckdb").rename(ledger)
        shutil.rmtree(home)


def timed(asked: Asked, pid: int | None, ask: Callable[[], T]) -> T:
    """Return what `ask` does, and note what it took, of the process `pid` too."""
    cpu, began = _cpu_seconds(pid), time.monotonic()
    answer = ask()
    asked.seconds.append(time.monotonic() - began)
    asked.cpu_seconds.append(_cpu_seconds(pid) - cpu)
    return answer


def _cpu_seconds(pid: int | None) -> float:
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def summed(cells: SplitCells) -> Answer:
    """Return what the cells add up to, by phase and variant."""
    signup, revenue = (measure.cells for measure in cells.measures)
    visitors: dict[tuple[int, str], int] = {}
    for each in cells.exposed:
        visitors[each.phase, each.variant] = visitors.get((each.phase, each.variant), 0) + each.visitors
    return {
        key: (
            count,
            sum(cell.conversions for cell in signup if (cell.phase, cell.variant) == key),
            sum(cell.events for cell in revenue if (cell.phase, cell.variant) == key),
            sum(cell.moments.n * cell.moments.mean_y for cell in revenue if (cell.phase, cell.variant) == key),
        )
        for key, count in visitors.items()
    }


def same(one: Answer, other: Answer) -> bool:
    """Tell whether two stores say the same; money to a millionth, for each adds in its own order."""
    return one.keys() == other.keys() and all(
        one[key][:3] == other[key][:3] and abs(one[key][3] - other[key][3]) <= 1e-6 * abs(one[key][3]) for key in one
    )


def compare(directory: Path, ledger: Path, rounds: int, *, peers: bool) -> tuple[dict[str, Asked], dict[str, float]]:
    """Ask all stores in turns; return what each took, and figures of the ledger's own."""
    took: dict[str, Asked] = {}
    figures: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        others: list[Chdb | Postgres] = []
        if peers:
            rows = give(ledger, directory)
            console.print("loading the same rows into chDB and PostgreSQL")
            others = [stack.enter_context(chdb(directory, rows)), stack.enter_context(postgres(directory, rows))]
            for path in (rows.events, rows.exposures):
                path.unlink()
        ours = stack.enter_context(serving(directory, ledger))
        figures["idle_rss_mb"] = round(ours.idle_mb, 1)
        for number in range(rounds):
            fresh = timed(took.setdefault(ours.name, Asked()), ours.pid, lambda: ours.ask(f" {number}"))  # noqa: B023
            answer = summed(fresh)
            for other in others:
                told = timed(took.setdefault(other.name, Asked()), other.pid, other.ask)
                if not same(answer, told):
                    raise RuntimeError(f"{other.name} says {told}, and the ledger {answer}")
        figures["report_rss_mb"] = round(ours.memory_mb("VmHWM"), 1)
        again, names, days = Asked(), Asked(), Asked()
        ours.ask()
        for number in range(rounds):
            ours.bring(number)
            timed(again, ours.pid, ours.ask)
        figures["again_s"], figures["again_cpu_s"] = round(again.best, 3), round(again.best_cpu, 2)
        by_day = RawQuestion(app="shop", unit="day")
        for _ in range(rounds):
            timed(names, ours.pid, lambda: asyncio.run(ours.client.names("shop")))
            timed(days, ours.pid, lambda: asyncio.run(ours.client.raw(by_day)))
        figures["names_s"] = round(names.best, 4)
        figures["by_day_s"], figures["by_day_cpu_s"] = round(days.best, 3), round(days.best_cpu, 2)
        figures["rss_mb"] = round(ours.memory_mb("VmHWM"), 1)
    return took, figures


def main() -> None:
    """Make the ledgers, ask, and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=int, default=EVENTS)
    asked.add_argument("--rounds", type=int, default=_ROUNDS)
    asked.add_argument("--large", action="store_true", help="ten times as many too, of the ledger alone")
    asked.add_argument("--no-peers", action="store_true", help="the ledger alone")
    options = asked.parse_args()
    sizes = [options.events // 10, options.events] + [options.events * 10] * options.large
    table = Table("events", "store", "report s", "CPU s", "again s", "beside ours", "most MB", "bytes an event")
    figures: dict[str, float] = {}
    cost: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made:
        directory = Path(made)
        for events in sizes:
            at = _short(events)
            path = directory / f"{events}.duckdb"
            console.print(f"making a ledger of {events:,} events")
            bytes_each = make_ledger(path, events)
            peers = events == options.events and not options.no_peers
            took, own = compare(directory, path, options.rounds, peers=peers)
            path.unlink()
            ours = took[Ledger.name]
            cost[events] = ours.best
            for name, each in took.items():
                is_ours = name == Ledger.name
                cpu = f"{each.best_cpu:.2f}" if each.best_cpu else ""
                beside = f"{each.best / ours.best:.1f} ×"
                size = (f"{own['report_rss_mb']:.0f}", f"{bytes_each:.1f}") if is_ours else ("", "")
                again = f"{own['again_s']:.3f}" if is_ours else ""
                table.add_row(f"{events:,}", name, f"{each.best:.3f}", cpu, again, beside, *size)
                if not is_ours:
                    figures[f"{name.lower().removesuffix('ql')}_s"] = round(each.best, 3)
                    figures[f"{name.lower().removesuffix('ql')}_again_ratio"] = round(each.best / own["again_s"], 2)
                    figures[f"{name.lower().removesuffix('ql')}_ratio"] = round(each.best / ours.best, 2)
            figures |= {
                f"report_{at}_s": round(ours.best, 3),
                f"report_{at}_cpu_s": round(ours.best_cpu, 2),
                f"bytes_an_event_{at}": round(bytes_each, 1),
                f"by_day_{at}_s": own.pop("by_day_s"),
                f"by_day_{at}_cpu_s": own.pop("by_day_cpu_s"),
                f"names_{at}_s": own.pop("names_s"),
                f"again_{at}_s": own.pop("again_s"),
                f"again_{at}_cpu_s": own.pop("again_cpu_s"),
            }
            figures |= own if events == options.events else {f"{name}_{at}": value for name, value in own.items()}
    if options.large:
        figures["large_ratio"] = round(cost[sizes[-1]] / cost[options.events], 2)
    console.print(table)
    print(json.dumps(figures))


def _short(events: int) -> str:
    return f"{events // 1_000_000}m" if events >= 1_000_000 else f"{events // 1000}k"


if __name__ == "__main__":
    main()
