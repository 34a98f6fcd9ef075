"""`make bench-deploy`: what visitors notice of deploys, and how long a deploy takes beside the app's own start.

GET on kept connections and on new ones, and POST with an id each that the app counts, while releases are switched.
The last line is JSON; the figures are of this machine and this run.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

import reserved
from browsing import Browser
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

console = Console()
_HOST = "shop.localhost"
# Without clients, who take both cores otherwise: what a deploy takes by itself.
_QUIET_DEPLOYS = 10
# What was measured of kamal-proxy on a machine of this kind, for scale; it is not run here.
_KAMAL_PROXY = (
    "kamal-proxy, for scale: 0 failed of 79,384 requests in 90 deploys, 0.55 s a deploy; websockets cut at each, "
    "39 connections refused at a restart of the proxy, 502 for good once its only target has died"
)
_COUNTS_POSTS = """
    def do_POST(self):
        number = self.rfile.read(int(self.headers["Content-Length"]))
        with open(POSTS, "ab") as file:
            file.write(number + b"\\n")
        self.do_GET()

    def log_message"""


class Posters:
    """Clients that post one id after the other, each once, and remember which were answered."""

    def __init__(self, port: int, count: int) -> None:
        self.answered: set[int] = set()
        self.broken: set[int] = set()
        self._port = port
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(n, count), daemon=True) for n in range(count)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _post(self, first: int, step: int) -> None:
        browser, number = Browser(self._port, _HOST, kept=True), first
        while not self._stopping.is_set():
            try:
                status = browser.request("POST", "/", str(number).encode()).status
            except (OSError, http.client.HTTPException):
                status = 0
            (self.answered if status == 200 else self.broken).add(number)
            number += step


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deploys", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100_000, help="go on until there were so many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as name, running(Path(name)) as platform:
        figures = measure(platform, options.deploys, options.requests, Path(name) / "posts")
    table = Table("Figure", "Value", title="Deploys")
    for figure, value in figures.items():
        table.add_row(figure, str(value))
    console.print(table)
    console.print(_KAMAL_PROXY)
    print(json.dumps(figures))
    sys.exit(1 if figures["failed"] or figures["post_lost"] or figures["post_double"] else 0)


def measure(platform: Running, deploys: int, requests: int, posts: Path) -> dict[str, float]:
    """Return the figures of so many deploys, under so many requests at least."""
    posts.touch()
    repository = platform.create("shop")
    commits = []
    for version in ("one", "two"):
        files = app_files(version)
        source = files["app.py"].replace("\n    def log_message", _COUNTS_POSTS, 1)
        commits.append(repository.commit({**files, "app.py": f"POSTS = {str(posts)!r}\n{source}"}))
    repository.push(f"{commits[0]}:refs/heads/master")
    times, rollbacks = [], []
    posters = Posters(platform.port, 4)
    posters.start()
    kept = Hammer(platform.port, _HOST, kept=6, fresh=0, pause_seconds=0.0)
    fresh = Hammer(platform.port, _HOST, kept=0, fresh=6, pause_seconds=0.0)
    with kept.at_work(), fresh.at_work():
        for number in track(range(deploys), "deploys", console=console, transient=True):
            repository.push("--force", f"{commits[(number + 1) % 2]}:refs/heads/master")
            times.append(_seconds_to_live(platform))
        for _ in track(range(10), "rollbacks", console=console, transient=True):
            began = time.monotonic()
            list(platform.client.rollback("shop"))
            rollbacks.append(time.monotonic() - began)
        until(lambda: kept.tally.requests + fresh.tally.requests + len(posters.answered) >= requests, 600)
    posters.stop()
    quiet = []
    for number in range(_QUIET_DEPLOYS):
        repository.push("--force", f"{commits[(number + 1) % 2]}:refs/heads/master")
        quiet.append(_seconds_to_live(platform))
    console.print(f"GET, connections kept: {kept.tally.describe()}")
    console.print(f"GET, a new connection each: {fresh.tally.describe()}")
    console.print(f"POST: {len(posters.broken)} failed of {len(posters.answered) + len(posters.broken)}")
    arrived = Counter(int(line) for line in posts.read_text().split())
    return {
        "requests": kept.tally.requests + fresh.tally.requests + len(posters.answered) + len(posters.broken),
        "failed": kept.tally.failed + fresh.tally.failed + len(posters.broken),
        "deploys": deploys,
        "post_lost": len(posters.answered - arrived.keys()),
        "post_double": sum(1 for count in arrived.values() if count > 1),
        "deploy_s": round(statistics.median(times), 3),
        "deploy_quiet_s": round(statistics.median(quiet), 3),
        "app_start_s": round(_app_start(repository.directory, platform), 3),
        "rollback_s": round(statistics.median(rollbacks), 3),
    }


def _seconds_to_live(platform: Running) -> float:
    """Return the time from the moment a push was accepted until the proxy served its release; nothing is built."""
    log = platform.log()
    moments = {str(entry["message"]): str(entry["at"]) for entry in log if str(entry["message"]).startswith("release.")}
    return _moment(moments["release.serving"]) - _moment(moments["release.opened"])


def _moment(at: str) -> float:
    hours, minutes, seconds = at.removesuffix("Z").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _app_start(directory: Path, platform: Running) -> float:
    """Return the median time in which the app alone answers after its start, on this machine now."""
    times = []
    for port in reserved.ports(5):
        began = time.monotonic()
        environment = {**platform.environment(), "PORT": str(port)}
        app = subprocess.Popen([sys.executable, "app.py"], cwd=directory, env=environment)
        while True:
            try:
                Browser(port, _HOST).get()
                break
            except OSError:
                time.sleep(0.005)
        times.append(time.monotonic() - began)
        app.kill()
        app.wait()
    return statistics.median(times)


if __name__ == "__main__":
    main()
