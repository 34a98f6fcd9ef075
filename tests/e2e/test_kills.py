"""kill -9 of each part under load: what the visitors see, and what is there afterwards."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from endings import Ending, ProxyEnding, check_cost
from hammering import Hammer, Tally
from running import Running, running
from waiting import until

APP, HOST = "shop", "shop.localhost"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("kills")) as started:
        repository = started.create(APP)
        repository.deploy("one", "master")
        repository.deploy("two", "test")
        started.split(APP, master=50, test=50)
        yield started


class Buyers:
    """Visitors with cookies who buy all the time; each purchase has its own value, so that it can be told apart."""

    def __init__(self, port: int) -> None:
        self.bought: Counter[float] = Counter()
        """Purchases that were answered 200."""
        self.unsure: Counter[float] = Counter()
        """Purchases whose connection broke: they may have happened."""
        self._port = port
        self._stopping = threading.Event()
        self._adding = threading.Lock()
        self._threads = [threading.Thread(target=self._buy, args=(number,), daemon=True) for number in range(4)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _buy(self, number: int) -> None:
        browser = Browser(self._port, HOST)
        while len(browser.cookie.split(".")) < 5 or browser.cookie.split(".")[4] != "1":
            browser.get()
        for count in range(1_000_000):
            if self._stopping.is_set():
                return
            value = float(number * 1_000_000 + count)
            try:
                answered = browser.get(f"/buy={value:.0f}").status == 200
            except OSError:
                answered = False
            with self._adding:
                (self.bought if answered else self.unsure)[value] += 1


def values_in_ledger(platform: Running) -> tuple[int, float]:
    """Return how many purchases the report counts, and their sum."""
    report = platform.client.report(APP)
    outcomes = [
        outcome for metric in report.metrics if metric.metric == "purchase.value" for outcome in metric.outcomes
    ]
    return sum(o.events for o in outcomes), sum(o.visitors * (o.value or 0.0) for o in outcomes)


def test_killing_the_daemon_and_the_ledger_loses_no_event_and_restarts_no_instance(platform: Running) -> None:
    before = {branch: platform.instance_pid(APP, branch) for branch in ("master", "test")}
    visitor = Browser(platform.port, HOST)
    visitor.get()
    variant = visitor.variant
    buyers = Buyers(platform.port)
    buyers.start()
    with Hammer(platform.port, HOST, kept=4, fresh=4).at_work() as tally:
        for _ in range(3):
            platform.kill_ledger()
            _go_on(tally, 300)
            until(platform.ledger_pid, 60)  # the daemon has started it again, and dies in its turn
            platform.kill()
            _go_on(tally, 300)
            platform.kill_ledger()
            _go_on(tally, 300)
            platform.start()
            _go_on(tally, 300)
    buyers.stop()
    print(f"\n3 × kill -9 of the daemon, 6 × of the ledger: {tally.describe()}, {buyers.bought.total()} purchases")
    assert tally.failed == 0, tally.describe()
    assert not buyers.unsure
    assert {branch: platform.instance_pid(APP, branch) for branch in ("master", "test")} == before
    visitor.get()
    assert visitor.variant == variant
    expected = (buyers.bought.total(), sum(buyers.bought))
    until(lambda: values_in_ledger(platform)[0] >= expected[0], 30)
    assert values_in_ledger(platform) == pytest.approx(expected)
    assert platform.client.status().lost_lines == 0


def test_haproxy_killed_serves_again_within_a_second_and_refuses_nobody(platform: Running) -> None:
    waits, endings = [], []
    with Hammer(platform.port, HOST, kept=0, fresh=8).at_work() as tally:
        for _ in range(3):
            _go_on(tally, 200)
            endings.append(ProxyEnding(_worker(platform)))
            began = time.monotonic()
            pid = platform.kill_proxy()
            until(lambda pid=pid: platform.proxy_pid() not in (0, pid), 60)  # type: ignore[misc]
            assert Browser(platform.port, HOST).get().status == 200
            waits.append(time.monotonic() - began)
            _go_on(tally, 200)
    again = ", ".join(f"{wait:.2f} s" for wait in waits)
    cost = check_cost(tally, *endings)
    print(f"\n3 × kill -9 of HAProxy: {cost}, served again after {again}")
    assert "ConnectionRefusedError" not in tally.errors
    assert min(waits) < 1.0, "the others may have met with something else that the machine does"


def test_a_branch_whose_only_instance_is_killed_is_served_by_the_control_meanwhile(platform: Running) -> None:
    visitor, endings = _visitor_of(platform, "test"), []
    with Hammer(platform.port, HOST, kept=8, fresh=8, cookie=visitor.cookie).at_work() as tally:
        for _ in range(3):
            _go_on(tally, 300)
            pid, serving = platform.instance_pid(APP, "test"), platform.serving_pid(APP, "test")
            endings.append(Ending(serving))
            os.kill(serving, signal.SIGKILL)
            until(lambda pid=pid: platform.instance_pid(APP, "test") != pid, 60)  # type: ignore[misc]
            seen = tally.bodies["two test"]
            until(lambda seen=seen: tally.bodies["two test"] > seen + 50, 60)  # type: ignore[misc]
    cost = check_cost(tally, *endings)
    print(f"\n3 × kill -9 of the only instance of test: {cost}")
    assert tally.bodies["one test"] > 0, "the control never stood in"
    visitor.get()
    assert visitor.variant == "test"


def test_the_control_has_stand_ins_too(platform: Running) -> None:
    visitor = _visitor_of(platform, "master")
    with Hammer(platform.port, HOST, kept=4, fresh=4, cookie=visitor.cookie).at_work() as tally:
        _go_on(tally, 100)
        pid, serving = platform.instance_pid(APP, "master"), platform.serving_pid(APP, "master")
        ending = Ending(serving)
        os.kill(serving, signal.SIGKILL)
        until(lambda: platform.instance_pid(APP, "master") != pid, 30)
        seen = tally.bodies["one master"]
        until(lambda: tally.bodies["one master"] > seen + 50, 30)
    assert tally.bodies["two master"] > 0, "nobody stood in"
    print(f"\nkill -9 of the control: {check_cost(tally, ending)}")


def test_a_request_that_kills_its_instance_kills_one_and_not_the_control_too(platform: Running) -> None:
    visitor = _visitor_of(platform, "test")
    until(lambda: visitor.get().body == "two test", 30)
    control = platform.instance_pid(APP, "master")
    killed = platform.instance_pid(APP, "test")
    try:
        status = visitor.get("/die").status
    except OSError:
        status = 0
    assert status != 200
    until(lambda: platform.instance_pid(APP, "test") != killed, 60)
    assert platform.instance_pid(APP, "master") == control
    assert Path(f"/proc/{control}").exists()


def test_sigterm_stops_everything(platform: Running) -> None:
    pids = [platform.proxy_pid(), platform.ledger_pid(), *(platform.instance_pid(APP, b) for b in ("master", "test"))]
    assert platform.stop() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def _worker(platform: Running) -> int:
    """Return the pid of HAProxy's worker."""
    found = platform.client.status().proxy
    assert found is not None
    return found.worker


def _go_on(tally: Tally, requests: int) -> None:
    """Wait until the clients have sent some more requests."""
    aim = tally.requests + requests
    until(lambda: tally.requests >= aim, 30)


def _visitor_of(platform: Running, branch: str) -> Browser:
    """Return a counted visitor of a branch."""
    for _ in range(200):
        browser = Browser(platform.port, HOST)
        browser.get()
        if browser.variant == branch:
            browser.get()
            return browser
    raise AssertionError(f"200 visitors, and none was assigned {branch}")
