"""The daemon is replaced by newer code under load: nobody notices, whatever they do."""

import contextlib
import fcntl
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import balancer
from balancer.client import Client
from balancer.errors import BalancerError
from browsing import Browser
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
BEFORE = balancer.__version__


class Installation:
    """A copy of our code that a daemon runs, where a test installs other code."""

    def __init__(self, directory: Path) -> None:
        self._package = directory / "balancer"
        source = Path(balancer.__file__).parent
        shutil.copytree(source, self._package, ignore=shutil.ignore_patterns("__pycache__"))

    def set_version(self, version: str) -> None:
        (self._package / "__init__.py").write_text(f'"""Balancer."""\n\n__version__ = "{version}"\n')

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Let the code not start for as long as the block lasts."""
        whole = (self._package / "daemon.py").read_text()
        (self._package / "daemon.py").write_text("import nothing_of_this_name\n")
        yield
        (self._package / "daemon.py").write_text(whole)


class Callers:
    """Clients of the admin API, one with kept connections and one that opens one each time."""

    def __init__(self, platform: Running) -> None:
        self.answered: Counter[str] = Counter()
        """Answers, by the version that gave them."""
        self.errors: list[str] = []
        self._platform = platform
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._keep_one, self._open_each_time)]

    @contextlib.contextmanager
    def at_work(self) -> Iterator["Callers"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join(60)

    def _client(self) -> Client:
        token = (self._platform.data / "operator.token").read_text().strip()
        return Client(f"http://127.0.0.1:{self._platform.admin_port}", token)

    def _keep_one(self) -> None:
        with self._client() as client:
            while not self._stopping.wait(0.02):
                self._call(client)

    def _open_each_time(self) -> None:
        while not self._stopping.wait(0.02):
            with self._client() as client:
                self._call(client)

    def _call(self, client: Client) -> None:
        try:
            self.answered[client.status().version] += 1
        except BalancerError as error:
            self.errors.append(str(error))


class Rival:
    """Another daemon on the data directory, which would begin as soon as nobody has it."""

    def __init__(self, platform: Running) -> None:
        self.looks = self.let_in = 0
        self._lock = platform.data / "daemon.lock"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._try, daemon=True)

    @contextlib.contextmanager
    def at_the_door(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join(30)

    def _try(self) -> None:
        with self._lock.open() as lock:
            while not self._stopping.wait(0.001):
                self.looks += 1
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    self.let_in += 1


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def platform(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    code = str(installation._package.parent)
    with running(tmp_path_factory.mktemp("upgrade"), PYTHONPATH=code) as started:
        started.create(APP).deploy("one")
        yield started


def starts(platform: Running) -> int:
    return sum(line["message"] == "daemon.ready" for line in platform.log())


def test_an_upgrade_finishes_the_push_under_way_and_nobody_notices(
    platform: Running, installation: Installation
) -> None:
    before = (platform.instance_pid(APP, "master"), platform.proxy_pid(), platform.client.status().pid)
    ledger = platform.ledger_pid()
    gate, repository = platform.directory / "gate", platform.repository(APP)
    at_gate = platform.directory / "at-gate"
    waits = f"touch {at_gate}; while [ ! -e {gate} ]; do sleep 0.05; done"
    repository.commit({**app_files("two"), "Procfile": f"web: python3 app.py\nrelease: {waits}\n"})
    pushed: list[int] = []
    pushing = threading.Thread(target=lambda: pushed.append(repository.push("master", check=False).returncode))
    pushing.start()
    until(at_gate.exists, 30)
    installation.set_version("99.1")
    hammer = Hammer(platform.port, HOST, kept=3, fresh=3)
    with hammer.at_work() as tally, Callers(platform).at_work() as callers:
        upgrading = threading.Thread(target=platform.command, args=["upgrade"])
        upgrading.start()
        until(lambda: "daemon.upgrading" in [line["message"] for line in platform.log()], 120)
        assert platform.client.status().version == BEFORE, "it waits for the push"
        gate.touch()
        pushing.join(180)
        upgrading.join(180)
        until(lambda: callers.answered["99.1"] > 10, 120)
    print(f"\nan upgrade of the daemon: {tally.describe()}; API calls by version: {dict(callers.answered)}")
    assert pushed == [0]
    assert tally.failed == 0, tally.describe()
    assert callers.errors == []
    after = platform.client.status()
    assert after.version == "99.1"
    assert (platform.proxy_pid(), after.pid) == before[1:]
    assert platform.ledger_pid() != ledger, "the ledger is of the newer code too"
    assert Browser(platform.port, HOST).get().body == "two -"


def test_sighup_is_an_upgrade_and_the_instances_are_looked_after_as_before(platform: Running) -> None:
    count, pid, rival = starts(platform), platform.instance_pid(APP, "master"), Rival(platform)
    with Hammer(platform.port, HOST, kept=2, fresh=2).at_work() as tally, rival.at_the_door():
        os.kill(platform.client.status().pid, signal.SIGHUP)
        until(lambda: starts(platform) > count, 180)
    assert tally.failed == 0, tally.describe()
    assert rival.looks > 0
    assert rival.let_in == 0, "between the two codes another daemon could have had the data directory"
    assert platform.instance_pid(APP, "master") == pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: any(line["message"] == "instance.ended" for line in platform.log()), 60)
    assert not Path(f"/proc/{pid}").exists(), "a child of the daemon was not reaped"
    (ended,) = (line for line in platform.log() if line["message"] == "instance.ended")
    assert ended["ending"] == "was killed by SIGKILL", "the daemon is still its parent, and knows"


def test_a_code_that_cannot_start_is_refused_and_the_daemon_goes_on(
    platform: Running, installation: Installation
) -> None:
    before = platform.client.status()
    with installation.broken():
        refused = platform.command("upgrade")
        assert refused.returncode == 4
        assert "nothing_of_this_name" in refused.stderr
        os.kill(before.pid, signal.SIGHUP)
        until(lambda: "daemon.upgrade.refused" in [line["message"] for line in platform.log()], 120)
    assert platform.client.status().started_at == before.started_at
    platform.repository(APP).deploy("three")
    assert Browser(platform.port, HOST).get().body == "three -"


def test_the_versions_are_told_and_a_new_push_waits_and_goes_live(
    platform: Running, installation: Installation
) -> None:
    before = platform.client.status()
    installation.set_version("99.2")
    repository = platform.repository(APP)
    repository.commit(app_files("four"))
    with Hammer(platform.port, HOST, kept=2, fresh=2).at_work() as tally:
        os.kill(before.pid, signal.SIGHUP)
        until(lambda: any(line.get("after") == "99.2" for line in platform.log()), 120)
        repository.push("master")
        said = platform.json("upgrade")
    assert tally.failed == 0, tally.describe()
    assert before.proxy is not None
    version = before.proxy.version
    proxy = {"before": version, "after": version}
    assert said == {"before": "99.2", "after": "99.2", "pid": before.pid, "proxy": proxy}
    assert Browser(platform.port, HOST).get().body == "four -"
