"""The clock is set an hour forward or back while the platform runs: no visitor and no job notices."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from browsing import Browser
from hammering import Hammer
from running import Repository, Running, app_files
from waiting import until

HOUR = 3600
# A page that is written on and on until a file is there, so that a request is in flight for as long as a test wants.
_LONG = """
    def do_GET(self):
        if self.path != "/long":
            return self.do_page()
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        while not os.path.exists(ENOUGH):
            self.wfile.write(b"more ")
            self.wfile.flush()
            time.sleep(0.05)
        self.wfile.write(b"whole")
"""


class Set:
    """A platform, and the clock that it goes by."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "offset"
        self.platform = Running(directory, {"BALANCER_CLOCK_OFFSET": str(self.file)})
        self.enough = directory / "enough"
        self.by = 0.0

    def set(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.by += seconds
        fresh = self.file.with_suffix(".new")
        fresh.write_text(str(self.by))
        fresh.replace(self.file)

    def now(self) -> datetime:
        """Return the time by this clock."""
        return datetime.fromtimestamp(time.time() + self.by, UTC)

    def commit(self, repository: Repository, version: str, **files: str) -> None:
        """Commit an app that has a page without end."""
        made = app_files(version)
        app = (
            made["app.py"]
            .replace("def do_GET", "def do_page")
            .replace("    def log_message", f"{_LONG}\n    def log_message")
        )
        repository.commit({**made, "app.py": f"import time\nENOUGH = {str(self.enough)!r}\n{app}", **files})


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    made = Set(tmp_path_factory.mktemp("clock"))
    try:
        made.platform.start()
        yield made
    finally:
        made.platform.end()


class Reader:
    """A visitor who reads the long page."""

    def __init__(self, port: int, host: str) -> None:
        self.text = ""
        self._port, self._host = port, host
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        until(lambda: self.text, 30)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        connection.request("GET", "/long", headers={"Host": self._host})
        answer = connection.getresponse()
        while piece := answer.read1():
            self.text += piece.decode()
        connection.close()

    def reads_on(self) -> None:
        """Return after about 2 s of reading: within that a pass that takes a drain for over ends the instance."""
        seen = len(self.text)
        until(lambda: len(self.text) > seen + 5 * 40, 30)

    def read_to_the_end(self) -> str:
        """Return all of it, as far as it came."""
        self._thread.join(30)
        return self.text


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_is_set_while_instances_drain_under_load_fails_no_request(clock: Set, seconds: int) -> None:
    name, other = ("ahead", "ahead-other") if seconds > 0 else ("behind", "behind-other")
    platform = clock.platform
    repository = platform.create(name)
    clock.commit(repository, "one")
    repository.push("master")
    platform.create(other).deploy("other")
    (old,) = platform.client.instances(name)
    clock.enough.unlink(missing_ok=True)
    with Hammer(platform.port, f"{name}.localhost", kept=4, fresh=4).at_work() as tally:
        reader = Reader(platform.port, f"{name}.localhost")
        assert platform.command("restart", name).returncode == 0  # what ran drains at once, it does not stand by
        for step in (seconds, -seconds, seconds):
            clock.set(step)
            reader.reads_on()
        clock.commit(repository, "two")
        assert "Live" in repository.push("master").stderr
        assert old.name in {each.name for each in platform.client.instances(name) if each.state == "draining"}
        killed = platform.instance_pid(other, "master")
        os.kill(killed, signal.SIGKILL)
        until(
            lambda: [i.pid for i in platform.client.instances(other) if i.state == "healthy"] not in ([], [killed]), 20
        )
        browser = Browser(platform.port, f"{other}.localhost")
        until(lambda: browser.get().status == 200, 30)
        clock.enough.touch()
        assert reader.read_to_the_end().endswith("more whole")
        until(lambda: old.name not in {each.name for each in platform.client.instances(name)}, 60)
        clock.set(-seconds)
    print(f"\nthe clock set by {seconds} s: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert tally.bodies.keys() <= {"one -", "two -"}


def test_a_job_is_not_run_again_in_the_hour_that_the_clock_was_set_back_by(clock: Set) -> None:
    platform, printed = clock.platform, clock.platform.directory / "printed"
    printed.touch()

    def create(name: str) -> None:
        jobs = f'[[cron]]\nschedule = "30 * * * *"\ncommand = "echo {name} >> {printed}"\n'
        repository = platform.create(name)
        repository.commit({**app_files(name), "balancer.toml": jobs})
        repository.push("master")

    def wait_for_half_past(name: str) -> None:
        """Start at twenty seconds to the minute of the jobs, and wait until this app's has run."""
        platform.kill()
        now = clock.now()
        clock.set((now.replace(minute=29, second=40, microsecond=0) - now).total_seconds())
        platform.start()
        until(lambda: name in printed.read_text().split(), 60)

    create("job")
    wait_for_half_past("job")
    create("witness")  # its first run is due in the same look, after the other's: apps are looked at by name
    clock.set(-HOUR)
    wait_for_half_past("witness")
    assert printed.read_text().split() == ["job", "witness"]
    (job,) = platform.client.cron("job")
    assert job.last is not None
    assert job.last > clock.now(), "the run that was noted before the clock was set back"
