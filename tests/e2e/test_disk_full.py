"""A disk that is full: serving goes on, whoever wanted to write is told once, and all goes on when there is room."""

import contextlib
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.errors import LedgerUnavailable, SpoolFull
from balancer.wire.events import SentEventBody
from browsing import Browser
from edge_lines import visitor as visitor_id
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
# 64 MB: the ledger's and the registry's files, the releases of this test, and some.
SIZE = "64m"
BEGAN = 30.0


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk of its own."""
    directory = Path(tempfile.mkdtemp(prefix="balancer-disk-"))
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounting.returncode:
        directory.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounting.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


@pytest.fixture(scope="module")
def platform(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("full"), BALANCER_DATA_DIR=str(disk / "data")) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def app(platform: Running) -> None:
    platform.create(APP).deploy("one")


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Let nothing be left for as long as the block lasts."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        yield
    finally:
        filler.unlink()


def errors(platform: Running) -> Counter[str]:
    return Counter(str(line["message"]) for line in platform.log() if line["level"] == "ERROR")


def test_a_push_is_told_that_no_space_is_left_and_goes_live_when_there_is(platform: Running, disk: Path) -> None:
    repository = platform.repository(APP)
    repository.commit(app_files("two"))
    with Hammer(platform.port, HOST, kept=2, fresh=2).at_work() as tally:
        with full(disk):
            refused = repository.push("master", check=False)
            assert refused.returncode != 0
            assert "No space left" in refused.stderr
            assert "push again" in refused.stderr
            status = platform.command("status")
            assert status.returncode == 0, status.stderr
            assert "free" in status.stdout
            assert Browser(platform.port, HOST).get().body == "one -"
        repository.push("master")
        assert Browser(platform.port, HOST).get().body == "two -"
    assert tally.failed == 0, tally.describe()
    assert list((platform.data / "repositories").rglob("*.lock")) == []


def test_a_batch_of_events_is_to_be_sent_again_and_is_taken_in_when_there_is_room(
    platform: Running, disk: Path
) -> None:
    app = platform.client.create_app("other").name  # others count what was taken in of the shop
    batch = [SentEventBody(visitor=visitor_id(1), name="sold")] * 3
    with full(disk):
        for _ in range(2):
            with pytest.raises(SpoolFull, match="0 MiB left"):
                platform.client.send_events(app, batch)
        assert Browser(platform.port, HOST).get().status == 200
    assert platform.client.send_events(app, batch).accepted == 3
    assert [line["message"] for line in platform.log() if str(line["message"]).startswith("spool.")] == [
        "spool.full",
        "spool.takes_in",
    ]


def test_a_build_that_fills_the_disk_fails_and_leaves_nothing(platform: Running, disk: Path) -> None:
    repository = platform.repository(APP)
    files = app_files("three")
    fills = "release: cat /dev/zero > filler\n"
    repository.commit({**files, "Procfile": files["Procfile"] + fills})
    with Hammer(platform.port, HOST, kept=2, fresh=2).at_work() as tally:
        refused = repository.push("master", check=False)
    print(refused.stderr)
    assert refused.returncode != 0
    assert "No space left" in refused.stderr
    assert tally.failed == 0, tally.describe()
    until(lambda: os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 4 << 20, 30)
    repository.deploy("four")
    assert Browser(platform.port, HOST).get().body == "four -"


def test_the_registry_cannot_be_written_and_the_log_is_not_flooded(platform: Running, disk: Path) -> None:
    before = errors(platform)
    with Hammer(platform.port, HOST, kept=2, fresh=2).at_work() as tally, full(disk):
        failed = platform.command("config", "set", APP, "A=" + "x" * 8000)
        assert failed.returncode != 0
        assert "No space left" in failed.stderr
        pid = platform.instance_pid(APP, "master")
        until(lambda: tally.requests > 2000, 60)
        assert platform.instance_pid(APP, "master") == pid
    assert tally.failed == 0, tally.describe()
    flood = errors(platform) - before
    assert all(count <= 2 for count in flood.values()), flood
    platform.repository(APP).deploy("five")
    assert Browser(platform.port, HOST).get().body == "five -"


# It logs each request as most do, by what swallows that it could not be written.
LOGGING = """
import logging, sys
logging.basicConfig(stream=sys.stdout)
logging.raiseExceptions = False
"""


def test_an_app_that_logs_and_a_split_with_events_go_on_and_one_error_is_told(platform: Running, disk: Path) -> None:
    repository = platform.create("talk")
    for branch in ("master", "test"):
        files = app_files(branch)
        app = files["app.py"].replace("\nclass App", f"{LOGGING}\nclass App", 1)
        app = app.replace("def do_GET(self):", "def do_GET(self):\n        logging.warning('x' * 2000)")
        repository.commit({**files, "app.py": app}, branch)
        repository.push(branch)
    platform.split("talk", master=50, test=50)

    def visit(event: str) -> None:
        """Be a visitor whose exposure and event are recorded, if they can be."""
        browser = Browser(platform.port, "talk.localhost")
        assert (browser.get().status, browser.get().status) == (200, 200)
        assert browser.request("POST", "/_balancer/events", f'[{{"name": "{event}"}}]'.encode()).status == 204

    def counted(event: str) -> int:
        """Return how many of these the report has."""
        found = (each.outcomes for each in platform.client.report("talk").metrics if each.metric == event)
        return sum(outcome.events for outcome in next(found, ()))

    visit("before")
    until(lambda: counted("before") == 1, 30)
    before = errors(platform)
    with Hammer(platform.port, "talk.localhost", kept=2, fresh=2).at_work() as tally, full(disk):
        until(lambda: errors(platform)["disk.full"] > before["disk.full"], 30)
        for _ in range(100):
            visit("meanwhile")
        seen = tally.requests
        until(lambda: tally.requests > seen + 500, 60)
        assert "it is full: pushes fail and what visitors do is not recorded" in platform.command("status").stdout
    assert tally.failed == 0, tally.describe()
    assert "No space left on device" in (platform.data / "haproxy" / "haproxy.log").read_text(), "events were lost"
    visit("first")  # its first line ends one that was cut in the middle when the disk was full, and both are lost
    for _ in range(5):
        visit("after")
    until(lambda: counted("after") == 5, 60)
    lost = 100 - counted("meanwhile")
    print(f"\n{lost} of 100 events lost; {tally.describe()}; {errors(platform) - before}")
    assert lost > 0
    assert errors(platform) - before == {"disk.full": 1}


def test_every_event_that_was_answered_is_counted_or_shown_as_lost(platform: Running, disk: Path) -> None:
    repository = platform.create("exact")
    for branch in ("master", "test"):
        repository.commit(app_files(branch), branch)
        repository.push(branch)
    platform.split("exact", master=50, test=50)
    visitors = [Browser(platform.port, "exact.localhost") for _ in range(20)]
    answered = 0

    def send(events: int) -> None:
        """Send one event a request, of visitors who were counted: each of these requests leaves one line."""
        nonlocal answered
        for number in range(events):
            said = visitors[number % len(visitors)].request("POST", "/_balancer/events", b'{"name": "sent"}')
            answered += said.status == 204

    def accounted() -> tuple[int, int]:
        """Return how many events and exposures are in, and how many lines were lost; 0 while the ledger is away."""
        try:
            report = platform.client.report("exact")
        except LedgerUnavailable:
            return 0, 0
        return report.intake.accepted + sum(each.visitors for each in report.variants), report.intake.lost_lines

    for visitor in visitors:
        assert (visitor.get().status, visitor.get().status) == (200, 200)
    until(lambda: accounted()[0] == len(visitors), 60)
    before = accounted()[1]
    for _ in range(3):
        send(50)
        with full(disk):
            send(300)
            # Room for some lines, and then for none again: the last of them is cut in the middle.
            os.truncate(disk / "filler", (disk / "filler").stat().st_size - 8192)
            send(300)
        platform.kill_ledger()
        send(50)
    until(lambda: sum(accounted()) >= answered + len(visitors) + before, 90)
    found, missing = accounted()[0] - len(visitors), accounted()[1] - before
    text = b"".join(file.read_bytes() for file in sorted((platform.data / "edge").glob("*.log")))
    cut = sum(line.count(b'{"n":') > 1 for line in text.splitlines())
    print(f"\n{answered} events answered, {found} counted, {missing} lost; {cut} lines cut in the middle")
    assert cut
    assert answered == 3 * 700
    assert missing > 3 * 400
    assert found + missing == answered
    assert platform.client.status().lost_lines == before + missing
    assert f"{before + missing} lines of the edge log lost" in platform.command("status").stdout
    assert f"Lost: {before + missing} lines of the edge log" in platform.command("stats", "exact").stdout
    assert '"ledger.lines.lost"' in (platform.data / "log" / "ledger.log").read_text()
