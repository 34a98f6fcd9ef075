"""`make demo`: the platform, two branches pushed by git, visitors, and a report checked against what they did."""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from balancer.cli.reports import show
from balancer.client import Client
from balancer.errors import BalancerError
from balancer.services.outcome import MetricReport
from balancer.services.report import Report
from balancer.wire.splits import NewSplit
from visitors import Visitor, coming, send

HERE = Path(__file__).parent
BALANCER = Path(sys.executable).parent / "balancer"
console = Console(highlight=False, soft_wrap=True)
_START_SECONDS, _LEDGER_SECONDS = 30, 40


def main() -> int:
    """Run the demo; return 0 if all of it was right."""
    options = _options()
    with _temporary_directory() as directory, _platform(directory, options) as platform:
        client = Client(
            f"http://127.0.0.1:{options.admin_port}", (directory / "data" / "operator.token").read_text().strip()
        )
        _title("Creating the app `shop` and pushing its two branches")
        client.create_app("shop")
        _push_branches(directory / "shop", client.remote("shop"))
        _title("Splitting the visitors: master 50 %, test 50 %; who buys decides")
        new = {"weights": {"master": 50, "test": 50}, "brief": {"metric": "bought"}}
        client.start_split("shop", NewSplit.model_validate(new))
        visitors = _send_visitors(options)
        report = _report(client, visitors)
        console.print()
        show(report)
        faults = list(_faults(report, visitors))
        _title("Checked every figure against what the visitors did: " + ("all right" if not faults else "NOT right"))
        for fault in faults:
            console.print(f"       {fault}")
        if options.once or faults:
            return 1 if faults else 0
        _say_what_next(options, directory)
        with coming(options.visitors, options.port, "shop.localhost"):
            platform.wait()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="check everything, then stop")
    parser.add_argument("--port", type=int, default=8080, help="port of the site")
    parser.add_argument("--admin-port", type=int, default=9090, help="port of the admin API")
    parser.add_argument("--visitors", type=int, default=1200, help="how many visitors come")
    return parser.parse_args()


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="balancer-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _platform(directory: Path, options: argparse.Namespace) -> Iterator[subprocess.Popen[bytes]]:
    """Run `balancer serve`, and stop it at the end: Ctrl-C reaches it too, so it is only waited for then."""
    _title(f"Starting the platform: site on :{options.port}, admin API on :{options.admin_port}")
    ports = ("--port", str(options.port), "--admin-port", str(options.admin_port))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
    environment["XDG_CONFIG_HOME"] = str(directory)  # the demo is the same whatever this user has set
    with (directory / "platform.log").open("wb") as log:
        platform = subprocess.Popen(
            [BALANCER, "serve", "--data-dir", directory / "data", *ports],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        _wait_until_ready(platform, directory / "platform.log")
        yield platform
    except KeyboardInterrupt:
        pass
    finally:
        _title("Stopping")
        if platform.poll() is None:
            platform.send_signal(signal.SIGTERM)
        platform.wait()


def _wait_until_ready(platform: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "daemon.ready" not in log.read_text():
        if platform.poll() is not None or time.monotonic() > deadline:
            console.print(log.read_text().strip() or "the platform did not start", style="red", markup=False)
            console.print("Other ports: make demo ARGS='--port 8081 --admin-port 9091'")
            sys.exit(1)
        time.sleep(0.05)


def _push_branches(repository: Path, remote: str) -> None:
    shutil.copytree(HERE / "shop" / "master", repository)
    _git(repository, "init", "--quiet", "--initial-branch=master")
    _git(repository, "remote", "add", "balancer", remote)
    _commit(repository, "A shop of one page")
    _git(repository, "push", "balancer", "master")
    _git(repository, "checkout", "--quiet", "-b", "test")
    shutil.copytree(HERE / "shop" / "test", repository, dirs_exist_ok=True)
    _commit(repository, "Say what the button does")
    _git(repository, "push", "balancer", "test")


def _commit(repository: Path, message: str) -> None:
    _git(repository, "add", "--all")
    _git(repository, "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", message)


def _git(repository: Path, *arguments: str) -> None:
    if arguments[0] == "push":
        console.print(f"$ git {' '.join(arguments)}")
    subprocess.run(["git", *arguments], cwd=repository, check=True)


def _send_visitors(options: argparse.Namespace) -> list[Visitor]:
    crawlers = options.visitors // 20
    _title(f"Sending {options.visitors} visitors with cookie jars, and {crawlers} crawlers without")
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("visitors", total=options.visitors)
        return send(options.visitors, crawlers, options.port, "shop.localhost", lambda: progress.advance(bar))


def _report(client: Client, visitors: list[Visitor]) -> Report:
    """Return the report once the ledger has read everything that was written, and every visitor is mature."""
    _title("Asking the ledger, once the last visitor has had 15 seconds to buy")
    expected = sum(len(visitor.purchases) for visitor in visitors), sum(visitor.terms for visitor in visitors)
    deadline = time.monotonic() + _LEDGER_SECONDS
    while True:
        try:
            report = client.report("shop")
            bought, terms = (_metric(report, name) for name in ("bought", "terms"))
            if bought and terms:
                mature = sum(outcome.mature for outcome in bought.outcomes)
                counted = tuple(sum(outcome.events for outcome in each.outcomes) for each in (bought, terms))
                if (mature, counted) == (len(visitors), expected) or time.monotonic() > deadline:
                    return report
        except BalancerError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _metric(report: Report, name: str) -> MetricReport | None:
    return next((each for each in report.metrics if each.metric == name), None)


def _faults(report: Report, visitors: list[Visitor]) -> Iterator[str]:
    """Give every figure of the report that is not what the visitors did."""
    by_branch = {branch: [v for v in visitors if v.branch == branch] for branch in ("master", "test")}
    for variant in report.variants:
        yield from _differ(f"{variant.branch}: visitors", variant.visitors, len(by_branch[variant.branch]))
    bought = {branch: [float(bool(v.purchases)) for v in of] for branch, of in by_branch.items()}
    spent = {branch: [sum(v.purchases) for v in of] for branch, of in by_branch.items()}
    read = {branch: [float(v.terms) for v in of] for branch, of in by_branch.items()}
    purchases = {branch: sum(len(v.purchases) for v in of) for branch, of in by_branch.items()}
    terms = {branch: sum(v.terms for v in of) for branch, of in by_branch.items()}
    yield from _metric_faults("bought", _metric(report, "bought"), bought, purchases)
    yield from _metric_faults("revenue", _metric(report, "revenue"), spent, purchases)
    yield from _metric_faults("terms", _metric(report, "terms"), read, terms)
    yield from _differ("events refused", report.intake.refused, 0)
    yield from _differ("events duplicate", report.intake.duplicate, 0)


def _metric_faults(
    name: str, metric: MetricReport | None, numbers: Mapping[str, list[float]], events: Mapping[str, int]
) -> Iterator[str]:
    """Compare a metric with the number that each visitor of a branch should have."""
    if metric is None:
        yield f"{name}: the report lacks it"
        return
    for outcome in metric.outcomes:
        of, where = numbers[outcome.branch], f"{outcome.branch}, {name}"
        yield from _differ(f"{where}: events", outcome.events, events[outcome.branch])
        yield from _differ(f"{where}: converted", outcome.converted, sum(1 for number in of if number))
        yield from _differ(f"{where}: mean", outcome.value, statistics.fmean(of))
        yield from _differ(f"{where}: SD", outcome.sd, statistics.stdev(of))


def _differ(what: str, got: float | None, wanted: float | None) -> Iterator[str]:
    same = got == wanted if got is None or wanted is None else abs(got - wanted) <= 1e-9 * max(1, abs(wanted))
    if not same:
        yield f"{what}: the report says {got}, the visitors did {wanted}"


def _say_what_next(options: argparse.Namespace, directory: Path) -> None:
    site = f"localhost:{options.port}"
    _title("It keeps serving, and visitors keep coming, until Ctrl-C")
    console.print(f"       the shop, split         http://shop.{site}/")
    console.print(f"       its branches            http://master--shop.{site}/   http://test--shop.{site}/")
    console.print(f"       the admin API           http://127.0.0.1:{options.admin_port}/docs")
    console.print("       in another terminal, here:")
    console.print(f"           export BALANCER_DATA_DIR={directory / 'data'} BALANCER_ADMIN_PORT={options.admin_port}")
    console.print('           export PATH="$PWD/.venv/bin:$PATH"')
    commands = ("stats shop", "split set shop master=20 test=80", "logs shop -f", "releases shop", "--help")
    for command in ("open", *commands):
        console.print(f"           balancer {command}")
    console.print(f"       push to it: {directory / 'shop'} has the remote `balancer`")
    token = (directory / "data" / "operator.token").read_text().strip()
    console.print("       the dashboard, live:")
    console.print(f"           http://127.0.0.1:{options.admin_port}/apps/shop    with the token {token}")


def _title(text: str) -> None:
    console.print(f"[bold]-----> {text}[/]")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BalancerError as error:
        sys.exit(f"error: {error}")
