"""`make bench-growth`: what more apps cost: a request, a change of weights, a reload, doing nothing, memory.

Platforms of each size run side by side, all of them real but the processes of their instances (`growing/`). HAProxy has
one core, load and instances the other; the sizes are loaded in turns, medians of the rounds. The last line is JSON; the
figures are of this machine and this run.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from growing.platform import BRANCHES, SPLITS_LIMIT, app_name

console = Console(width=120)
_SIZES = (1, 10, 100, 1000)
# Ten more instances than there are: of branches that come.
_SPARE_PORTS = 10
# 32 connections: enough to keep HAProxy's core busy.
_CONNECTIONS = 32
# The cookies of so many visitors, over all apps that have a split.
_VISITORS = 400
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_LOAD = """\
local requests = {%s}
local at = 0
function request()
  at = at %% #requests + 1
  return requests[at]
end
function done(summary, latency, requests)
  local e = summary.errors
  print(summary.requests .. " " .. (e.connect + e.read + e.write + e.status + e.timeout))
end
"""
_COLUMNS = {
    "cpu_us": "CPU of a request, µs",
    "cpu_ratio": "× one app's",
    "weights_ms": "weights, ms",
    "weights_worst_ms": "worst",
    "reload_s": "reload, s",
    "idle_haproxy": "idle HAProxy",
    "idle_daemon": "idle daemon",
    "haproxy_mb": "HAProxy, MB",
    "daemon_mb": "daemon, MB",
}


class Grown:
    """One platform that runs in a process of its own."""

    def __init__(self, apps: int, process: "subprocess.Popen[str]", directory: Path) -> None:
        self.apps = apps
        self._process = process
        assert process.stdout
        told = json.loads(process.stdout.readline() or "{}")
        if not told:
            raise RuntimeError(f"the platform of {apps} apps broke: {(directory / f'{apps}.log').read_text()[-2000:]}")
        self.figures: dict[str, Any] = told["figures"]
        self._port, self._worker = told["port"], told["worker"]
        self._script = directory / f"{apps}.lua"
        self._script.write_text(_LOAD % ",".join(json.dumps(_request(number, apps)) for number in range(_VISITORS)))
        self.costs: list[float] = []

    def load(self, seconds: float, core: int) -> None:
        """Send requests of returning visitors, and note what one has cost HAProxy."""
        before = self._cpu_seconds()
        wrk = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}s", "-s", str(self._script)]
        done = subprocess.run(
            ["taskset", "-c", str(core), *wrk, f"http://127.0.0.1:{self._port}/"],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
        )
        requests, errors = map(int, done.stdout.split()[-2:])
        if errors:
            raise RuntimeError(f"{errors} requests of {requests} failed")
        self.costs.append((self._cpu_seconds() - before) / requests * 1e6)

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _request(number: int, apps: int) -> str:
    """Return what a visitor sends who was counted: to one app after the other, of those that have a split."""
    app = number % min(apps, SPLITS_LIMIT)
    visitor = uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (2**128 - 1), version=4)
    cookie = f"{visitor}.s{app + 1}.{BRANCHES[number // SPLITS_LIMIT % 2]}.1.1.1700000000000"
    headers = (f"Host: {app_name(app)}.localhost", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: */*")
    return "\r\n".join(["GET / HTTP/1.1", *headers, f"Cookie: theme=dark; balancer={cookie}", "", ""])


@contextlib.contextmanager
def instances(count: int, core: int) -> Iterator[str]:
    """Give the ports of so many instances, as `growing.instances` prints them."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "growing.instances", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline()
        finally:
            process.kill()


@contextlib.contextmanager
def grown(apps: int, ports: str, directory: Path) -> Iterator[Grown]:
    """Give a platform of so many apps, whose instances are on the first of the ports."""
    few = json.dumps(json.loads(ports)[: apps * len(BRANCHES) + _SPARE_PORTS])
    with (directory / f"{apps}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "growing.platform", str(apps), str(directory / str(apps))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin
    try:
        process.stdin.write(f"{few}\n")
        process.stdin.flush()
        yield Grown(apps, process, directory)
    finally:
        process.stdin.close()
        process.wait(30)


def measure(sizes: Sequence[int], rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Return the figures of each size."""
    core = max(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="balancer-growth-")))
        ports = stack.enter_context(instances(max(sizes) * len(BRANCHES) + _SPARE_PORTS, core))
        platforms = [
            stack.enter_context(grown(apps, ports, directory))
            for apps in track(sizes, "platforms", console=console, transient=True)
        ]
        for _ in track(range(rounds + 1), "load", console=console, transient=True):
            for platform in platforms:
                platform.load(seconds, core)
        for platform in platforms:
            platform.figures["cpu_us"] = round(statistics.median(platform.costs[1:]), 1)  # the first warms up
            ratios = [mine / one for mine, one in zip(platform.costs[1:], platforms[0].costs[1:], strict=True)]
            platform.figures["cpu_ratio"] = round(statistics.median(ratios), 3)
        return {str(platform.apps): platform.figures for platform in platforms}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="numbers of apps")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, a round and size")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = measure(options.sizes, options.rounds, options.seconds)
    table = Table("Apps", *_COLUMNS.values(), title="Growth: 3 branches an app, 100 splits at most")
    for apps, of in figures.items():
        shares = {name: f"{of[name]:.1%}" for name in ("idle_haproxy", "idle_daemon")}
        table.add_row(apps, *(str({**of, **shares}[name]) for name in _COLUMNS))
    console.print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
