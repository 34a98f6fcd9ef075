"""Events that HAProxy has answered are in the ledger, each once, whatever of the platform ends meanwhile."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from running import Running, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
SENDERS = 4


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
        until(lambda: self.answered >= aim, 30)

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


def counted(platform: Running) -> int:
    """Return how many of the events the report counts."""
    found = [metric for metric in platform.client.report(APP).metrics if metric.metric == "seen"]
    return sum(outcome.events for metric in found for outcome in metric.outcomes)


def test_no_event_that_was_answered_is_lost_or_counted_twice(platform: Running) -> None:
    senders = Senders(platform.port)
    senders.start()
    for number in range(2):
        os.kill(platform.ledger_pid(), signal.SIGKILL)
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
        until(platform.ledger_pid, 20)
    senders.stop()
    print(
        f"\n2 × kill -9 of ledger and daemon, reload, new HAProxy: {senders.answered} events, {senders.broken} broken"
    )
    assert senders.broken == 0
    until(lambda: counted(platform) >= senders.answered, 20)
    assert counted(platform) == senders.answered
    assert platform.client.report(APP).intake.duplicate == 0
    assert platform.client.status().lost_lines == 0
