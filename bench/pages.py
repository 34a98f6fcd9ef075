"""`make bench-pages`: how long the dashboard takes, with few apps and with a thousand.

The platform is real but for the processes of its instances (`growing/`); meanwhile each branch on the first page gets
requests, so that nothing on it is as it was. A page counts as there when its last byte is. The last line is JSON; the
figures are of this machine and this run.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from balancer.client import Client
from growing.platform import BRANCHES, app_name

console = Console(width=110)
_SIZES = (3, 1000)
_PAGES = {
    "/": "overview",
    "/?page=10": "its page 10",
    "/?q=shop99": "filtered",
    "/apps/shop0": "an app",
    "/apps/shop0/split": "its split",
}
# 50 apps are on a page, with three branches each.
_BUSY_APPS = 50
_VISITORS = 10_000
_STREAMS, _STREAM_SECONDS = 10, 10.0


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="how many apps")
    parser.add_argument("--loads", type=int, default=30, help="how often each page is loaded")
    options = parser.parse_args()
    figures = {size: _measure(size, options.loads) for size in options.sizes}
    table = Table(
        title="The dashboard, milliseconds until the last byte: median, 95 of 100, worst",
        box=None,
        title_justify="left",
    )
    table.add_column("page")
    for size in figures:
        table.add_column(f"{size:,} apps", justify="right")
    for name in _PAGES.values():
        table.add_row(name, *(" ".join(f"{ms:8.1f}" for ms in each[name].values()) for each in figures.values()))
    table.add_row("size of the overview, kB", *(str(each["kilobytes"]) for each in figures.values()))
    table.add_row("a sample of the traffic, CPU ms", *(str(each["sample_ms"]) for each in figures.values()))
    table.add_row(f"{_STREAMS} open pages, part of a core", *(str(each["streams_cpu"]) for each in figures.values()))
    console.print(table)
    print(json.dumps(figures))


def _measure(apps: int, loads: int) -> dict[str, Any]:
    console.print(f"-----> {apps:,} apps")
    with (
        tempfile.TemporaryDirectory() as directory,
        _served(apps, Path(directory)) as (told, process),
        httpx.Client(base_url=told["url"], trust_env=False, timeout=60) as client,
        _traffic(told["site"], apps),
    ):
        origin = {"Origin": told["url"], "Accept": "text/html"}
        signed = client.post("/sign-in", data={"token": told["token"]}, headers=origin)
        assert signed.status_code == 303, signed.text
        _bring_in(client, told["token"])
        found: dict[str, Any] = {"sample_ms": told["sample_ms"]}
        for path, name in _PAGES.items():
            found[name] = _timed(client, path, loads)
        found["kilobytes"] = round(len(client.get("/").content) / 1000)
        found["streams_cpu"] = _with_streams(told["url"], client.cookies, process.pid)
        return found


def _bring_in(client: httpx.Client, token: str) -> None:
    """Let the first app's split have some visitors, of whom one in five buys."""
    now = round(time.time() * 1000)
    headers = {"Authorization": f"Bearer {token}"}
    split = client.get(f"/api/apps/{app_name(0)}/split", headers=headers).json()
    rows: list[dict[str, Any]] = []
    for number in range(_VISITORS):
        variant = tuple(split["phases"][-1]["weights"])[number % len(split["phases"][-1]["weights"])]
        who = {"visitor": str(uuid.uuid4()), "split": split["id"], "phase": 1, "variant": variant}
        row = {**who, "assigned_at": now, "ts": now, "dims": {"device": "mobile"}}
        rows.append({**row, "name": "$exposure"})
        if number % 5 == 0:
            rows.append({**row, "name": "purchase", "value": number % 90})
    operator = Client(str(client.base_url), token)
    for first in range(0, len(rows), 5000):
        lines = "\n".join(map(json.dumps, rows[first : first + 5000])).encode()
        operator.import_events(str(app_name(0)), lines, name="benchpages", first=first)
    operator.close()


def _timed(client: httpx.Client, path: str, loads: int) -> dict[str, float]:
    took = []
    for _ in range(loads):
        began = time.perf_counter()
        answer = client.get(path, headers={"Accept": "text/html"})
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
        time.sleep(0.1)
    return {
        "median_ms": round(statistics.median(took), 1),
        "p95_ms": round(statistics.quantiles(took, n=20, method="inclusive")[-1], 1),
        "worst_ms": round(max(took), 1),
    }


def _with_streams(url: str, cookies: httpx.Cookies, pid: int) -> float:
    """Return the part of a core that the daemon uses while pages are open."""
    over = threading.Event()

    def read() -> None:
        headers = {"Accept": "text/event-stream"}
        with (
            httpx.Client(base_url=url, trust_env=False, timeout=60, cookies=cookies) as client,
            client.stream("GET", "/live", headers=headers) as answer,
        ):
            for _ in answer.iter_raw():
                if over.is_set():
                    return

    readers = [threading.Thread(target=read) for _ in range(_STREAMS)]
    for reader in readers:
        reader.start()
    time.sleep(2)
    used = _cpu_over(pid, _STREAM_SECONDS)
    over.set()
    for reader in readers:
        reader.join(30)
    return used


def _cpu_over(pid: int, seconds: float) -> float:
    before, began = _cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return round((_cpu_seconds(pid) - before) / (time.monotonic() - began), 3)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def _traffic(port: int, apps: int) -> Iterator[None]:
    """Send each branch on the first page a request, over and over."""
    over = threading.Event()
    hosts = [f"{b}--{app_name(n)}.localhost" for n in range(min(apps, _BUSY_APPS)) for b in BRANCHES]

    def send() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            while not over.is_set():
                for host in hosts:
                    client.get("/", headers={"Host": host})
                    over.wait(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join(30)


@contextlib.contextmanager
def _served(apps: int, directory: Path) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]"]]:
    """Give where a platform of so many apps is, and its process."""
    count = apps * len(BRANCHES) + 1
    with (
        subprocess.Popen(
            [sys.executable, "-m", "growing.instances", str(count)], stdout=subprocess.PIPE, text=True
        ) as instances,
        (directory / "log").open("w") as log,
    ):
        try:
            assert instances.stdout
            process = subprocess.Popen(
                [sys.executable, "-m", "growing.dashboard", str(apps), str(directory / "data")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert process.stdin
            assert process.stdout
            try:
                process.stdin.write(instances.stdout.readline())
                process.stdin.flush()
                told = json.loads(process.stdout.readline() or "{}")
                if not told:
                    raise RuntimeError(f"the platform broke: {(directory / 'log').read_text()[-2000:]}")
                yield told, process
            finally:
                process.stdin.close()
                process.wait(60)
        finally:
            instances.kill()


if __name__ == "__main__":
    main()
