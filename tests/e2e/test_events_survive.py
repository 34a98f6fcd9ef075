"""Events that HAProxy or the API has answered are in the ledger, each once, whatever of the platform ends meanwhile."""

import asyncio
import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from balancer.errors import LedgerUnavailable
from balancer.store.ledger_client import LedgerClient
from browsing import Browser
from edge_lines import line, visitor
from running import Running, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
SENDERS = 4
# 500 events: a batch is written and read in several pieces.
BATCH = 500
EDGE_LINES_PER_SECOND = 8_000


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as started:
        repository = started.create(APP)
        repository.deploy("one", "master")
        repository.deploy("two", "test")
        started.split(APP, master=50, test=50)
        yield started


class Senders:
    """Counted visitors who send beacons all the time, each with an id of its own."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        """Beacons that were answered 204."""
        self.broken = 0
        """Beacons whose connection broke: they may be there."""
        self._port = port
        self._stopping = threading.Event()
        self._adding = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(SENDERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def go_on(self, count: int = 300) -> None:
        """Return when so many more were answered."""
        aim = self.answered + count
        until(lambda: self.answered >= aim, 60)

    def _send(self, number: int) -> None:
        browser = Browser(self._port, HOST, kept=True)
        while len(browser.cookie.split(".")) < 5 or browser.cookie.split(".")[4] != "1":
            browser.get()
        for count in itertools.count():
            if self._stopping.is_set():
                browser.close()
                return
            body = f'{{"name": "seen", "value": 1, "id": "{number}-{count}"}}'.encode()
            try:
                status = browser.request("POST", "/_balancer/events", body).status
            except OSError:
                status = 0
            with self._adding:
                if status == 204:
                    self.answered += 1
                else:
                    self.broken += 1


class Servers:
    """Servers that send batches to the API all the time; the value of each event is the number of its batch.

    They have no ids, so that nothing hides a batch that is in twice.
    """

    def __init__(self, platform: Running) -> None:
        self.acknowledged: set[int] = set()
        self.doubtful: set[int] = set()
        """Batches whose answer never came: they may be there, whole."""
        self._address = ("127.0.0.1", platform.admin_port)
        self._headers = {
            "Authorization": f"Bearer {(platform.data / 'operator.token').read_text().strip()}",
            "Content-Type": "application/json",
        }
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def go_on(self, count: int = 10) -> None:
        """Return when so many more batches were acknowledged."""
        aim = len(self.acknowledged) + count
        until(lambda: len(self.acknowledged) >= aim, 60)

    def _send(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        while not self._stopping.is_set():
            number = next(self._numbers)
            event = {"visitor": visitor(number), "name": "sold", "value": number, "dims": {"plan": "pro"}}
            try:
                connection.request("POST", f"/api/apps/{APP}/events", json.dumps([event] * BATCH), self._headers)
                answer = connection.getresponse()
                assert (answer.status, json.loads(answer.read())) == (202, {"accepted": BATCH, "refused": []})
                self.acknowledged.add(number)
            except ConnectionRefusedError:  # there is no daemon, and so no doubt
                connection.close()
                self._stopping.wait(0.05)
            except (OSError, http.client.HTTPException):
                connection.close()
                self.doubtful.add(number)
        connection.close()


class Edge(threading.Thread):
    """Appends lines to an edge log beside HAProxy's, as fast as HAProxy itself could, until told to stop.

    To one of its own, because HAProxy takes O_APPEND from the file that it is given when it makes it non-blocking.
    """

    def __init__(self, directory: Path, cookie: str) -> None:
        super().__init__(daemon=True)
        self.written = 0
        self.began_at = time.monotonic()
        self.ended_at = 0.0
        self.stopping = threading.Event()
        self._log = directory / "000000.log"
        self._line = line(t=int(time.time() * 1000), cookie=cookie, event="fast=1") + b"\n"

    def run(self) -> None:
        with self._log.open("ab", buffering=0) as file:
            while not self.stopping.wait(0.1):
                due = int((time.monotonic() - self.began_at) * EDGE_LINES_PER_SECOND) - self.written
                self.written += file.write(self._line * due) // len(self._line)
        self.ended_at = time.monotonic()


def counted(platform: Running, name: str = "seen") -> int:
    """Return how many of the events the report counts."""
    found = [metric for metric in platform.client.report(APP).metrics if metric.metric == name]
    return sum(outcome.events for metric in found for outcome in metric.outcomes)


def test_no_event_that_was_answered_is_lost_or_counted_twice(platform: Running) -> None:
    senders = Senders(platform.port)
    senders.start()
    for number in range(2):
        platform.kill_ledger()
        senders.go_on()
        platform.kill()
        senders.go_on()
        platform.start()
        reloads = platform.reloads()
        platform.repository(APP).deploy("three", f"branch-{number}")  # a new branch: HAProxy is reloaded
        assert platform.reloads() > reloads
        senders.go_on()
        assert platform.command("upgrade", "--proxy").returncode == 0  # HAProxy executes itself again
        senders.go_on()
        until(platform.ledger_pid, 30)
    senders.stop()
    print(
        f"\n2 × kill -9 of ledger and daemon, reload, new HAProxy: {senders.answered} events, {senders.broken} broken"
    )
    assert senders.broken == 0
    until(lambda: counted(platform) >= senders.answered, 60)
    assert counted(platform) == senders.answered
    assert platform.client.report(APP).intake.duplicate == 0
    assert platform.client.status().lost_lines == 0


def batches_in(platform: Running) -> dict[int, int]:
    """Return how many events of each batch are in the ledger, which is stopped for it."""
    assert platform.stop() == 0
    with duckdb.connect(str(platform.data / "ledger.duckdb"), read_only=True) as ledger:
        rows = ledger.execute(
            "SELECT value::BIGINT, count(*) FROM events WHERE dims IS NOT NULL "  # as exposures have, too
            "AND source = (SELECT id FROM words WHERE kind = 'source' AND word = 'api') GROUP BY ALL"
        )
        return dict(rows.fetchall())


def check_read(platform: Running) -> None:
    """Wait until the ledger has read all there is, and check that it counts no duplicate."""
    client = LedgerClient(platform.data / "run" / "ledger.sock")

    def is_read() -> bool:
        try:
            return asyncio.run(client.ping()).behind_bytes == 0
        except LedgerUnavailable:
            return False

    until(is_read, 300)
    assert asyncio.run(client.intake(APP)).duplicate == 0


def check_batches(platform: Running, servers: Servers) -> None:
    """Check that each batch that was acknowledged is in once, and no other one in part."""
    found = batches_in(platform)
    assert {number: found.get(number) for number in servers.acknowledged} == dict.fromkeys(servers.acknowledged, BATCH)
    assert set(found.values()) == {BATCH}
    assert set(found) <= servers.acknowledged | servers.doubtful


def test_a_batch_that_was_acknowledged_is_in_once_and_no_other_by_half_when_the_daemon_is_killed(
    platform: Running,
) -> None:
    servers = Servers(platform)
    servers.start()
    for _ in range(4):
        servers.go_on()
        platform.kill()
        platform.start()
    servers.go_on()
    servers.stop()
    print(f"\n4 × kill -9 of the daemon: {len(servers.acknowledged)} batches, {len(servers.doubtful)} in doubt")
    assert servers.doubtful, "no kill has met a batch"
    check_read(platform)
    check_batches(platform, servers)


def test_both_ways_in_are_read_exactly_once_when_the_ledger_is_killed_twelve_times(platform: Running) -> None:
    browser = Browser(platform.port, HOST, kept=True)
    while len(browser.cookie.split(".")) < 5 or browser.cookie.split(".")[4] != "1":
        browser.get()
    browser.close()
    edge = Edge(platform.data / "edge", browser.cookie)
    senders, servers = Senders(platform.port), Servers(platform)
    for each in (senders, servers, edge):
        each.start()
    for _ in range(12):
        senders.go_on(20)
        servers.go_on(5)
        before = platform.kill_ledger()
        until(lambda before=before: platform.ledger_pid() not in (0, before), 60)  # type: ignore[misc]
    edge.stopping.set()
    edge.join(30)
    senders.stop()
    servers.stop()
    rate = edge.written / (edge.ended_at - edge.began_at)
    print(
        f"\n12 × kill -9 of the ledger: {edge.written} lines of the edge, {rate:.0f} a second, "
        f"{senders.answered} beacons, {len(servers.acknowledged)} batches of {BATCH}"
    )
    assert (senders.broken, servers.doubtful) == (0, set())
    check_read(platform)
    assert platform.client.status().lost_lines == 0
    assert (counted(platform, "fast"), counted(platform)) == (edge.written, senders.answered)
    check_batches(platform, servers)
