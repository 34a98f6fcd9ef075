"""Scale, restart, stop and modes of an app, seen by its visitors: real HAProxy, real processes, under load."""

import contextlib
import http.client
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer.errors import NotHealthy
from hammering import Hammer
from running import BALANCER, Repository, Running, app_files, running
from waiting import until

PROCFILE = "web: python3 app.py\nworker: exec sleep 600\n"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("formations")) as started:
        yield started


@pytest.fixture(scope="module")
def shop(platform: Running) -> Repository:
    """An app with a worker, live on two branches."""
    repository = platform.create("shop")
    for branch in ("master", "test"):
        repository.commit(app_files(branch) | {"Procfile": PROCFILE}, branch)
        repository.push(branch)
    return repository


def labels(platform: Running, state: str = "healthy") -> list[str]:
    """Return branch and label of the instances of the shop in a state."""
    found = platform.client.instances("shop")
    return sorted(f"{i.branch} {i.type}.{i.index}" for i in found if i.state == state)


def status(platform: Running, host: str = "shop.localhost") -> int:
    """Return the status that a visitor gets."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=20)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_scaling_up_and_down_under_load_fails_no_request(platform: Running, shop: Repository) -> None:
    with Hammer(platform.port, "shop.localhost", kept=8, fresh=8).at_work() as tally:
        for count in (3, 1, 2):
            done = platform.command("scale", "shop", f"web={count}", f"worker={3 - count % 2}")
            assert done.returncode == 0, done.stderr
    print(f"\nscaled to 3, 1 and 2 under load: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert tally.requests > 200
    assert labels(platform) == sorted(
        f"{branch} {label}"
        for branch in ("master", "test")
        for label in ("web.1", "web.2", "worker.1", "worker.2", "worker.3")
    )
    assert platform.json("scale", "shop") == {"web": 2, "worker": 3}


def test_what_is_not_healthy_changes_nothing(platform: Running) -> None:
    repository = platform.create("fragile")
    # Whoever comes second finds the directory, and dies.
    repository.commit(app_files("one") | {"Procfile": "web: mkdir there && exec python3 app.py\n"})
    repository.push("master")
    with Hammer(platform.port, "fragile.localhost", kept=4, fresh=4).at_work() as tally:
        done = platform.command("scale", "fragile", "web=3")
        assert done.returncode == NotHealthy.exit_code
        assert "before it was healthy" in done.stderr
        assert platform.client.formation("fragile") == {"web": 1}
        until(lambda: [i.state for i in platform.client.instances("fragile")] == ["healthy"], 60)
    assert tally.failed == 0, tally.describe()


def test_restarts_under_load_fail_no_request(platform: Running, shop: Repository) -> None:
    before = {i.pid for i in platform.client.instances("shop")}
    with Hammer(platform.port, "shop.localhost", kept=8, fresh=8).at_work() as tally:
        for _ in range(2):
            done = platform.command("restart", "shop")
            assert done.returncode == 0, done.stderr
    print(f"\nrestarted twice under load: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert not before & {i.pid for i in platform.client.instances("shop") if i.state == "healthy"}


def test_one_process_type_of_one_branch_can_be_restarted(platform: Running, shop: Repository) -> None:
    before = {i.name for i in platform.client.instances("shop")}
    assert platform.command("restart", "shop", "--branch", "test", "--process", "worker").returncode == 0
    after = {i.name: f"{i.branch} {i.type}" for i in platform.client.instances("shop")}
    assert {after[name] for name in after.keys() - before} == {"test worker"}


def test_a_stopped_app_runs_nothing_shows_a_page_and_starts_again(platform: Running, shop: Repository) -> None:
    assert platform.command("stop", "shop").returncode == 0
    assert platform.client.instances("shop") == []
    assert platform.client.app("shop").mode == "stopped"
    assert (status(platform), status(platform, "test--shop.localhost")) == (503, 503)
    assert "stopped" in platform.command("apps", "list").stdout
    assert platform.command("restart", "shop").returncode == 4
    assert platform.command("start", "shop").returncode == 0
    assert (status(platform), status(platform, "test--shop.localhost")) == (200, 200)


def test_a_push_to_a_stopped_app_starts_it_and_says_so(platform: Running, shop: Repository) -> None:
    platform.command("stop", "shop")
    shop.commit(app_files("again") | {"Procfile": PROCFILE}, "test")
    assert "shop was stopped: starting its other branches too" in shop.push("test").stderr
    assert (status(platform), status(platform, "test--shop.localhost")) == (200, 200)


def test_a_stopped_app_stays_stopped_over_a_restart_of_the_platform(platform: Running, shop: Repository) -> None:
    platform.command("stop", "shop")
    platform.kill()
    platform.start()
    assert platform.client.instances("shop") == []
    assert status(platform) == 503
    assert platform.command("start", "shop").returncode == 0
    assert status(platform) == 200


# Each instance says at its start and at its end which release it is of.
SPOKEN = """
import signal, sys
print("here is", VERSION, flush=True)

def end(*_):
    print("farewell of", VERSION, flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, end)
"""


def talker(platform: Running, name: str) -> Repository:
    """Create an app that speaks."""
    repository = platform.create(name)
    speak(repository, "one")
    return repository


def speak(repository: Repository, version: str, branch: str = "master") -> None:
    """Deploy a version of it."""
    files = app_files(version)
    app = files["app.py"].replace("\nclass App", f"{SPOKEN}\nclass App", 1)
    repository.commit(files | {"Procfile": "web: exec python3 app.py\n", "app.py": app}, branch)
    repository.push(branch)


@contextlib.contextmanager
def following(platform: Running, *words: str) -> Iterator[Callable[[], list[str]]]:
    """Let a command follow, give what tells its lines so far, and press Ctrl-C in the end."""
    printed = platform.directory / "-".join(words)
    with printed.open("wb") as out:
        command = subprocess.Popen([BALANCER, *words], env=platform.environment(), stdout=out, stderr=out)
    try:
        yield lambda: printed.read_text().splitlines()
        assert command.poll() is None, printed.read_text()
    finally:
        command.send_signal(signal.SIGINT)
        command.wait(20)


def said(lines: list[str], branch: str, text: str) -> list[str]:
    """Return which releases of a branch said something, once for each time, from lines with time and name."""
    shape = re.compile(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d {branch}\.(\d+) web\.\d \| {text}")
    return [found[1] for line in lines if (found := shape.fullmatch(line))]


def test_a_change_can_be_followed_by_what_its_branch_prints(platform: Running) -> None:
    repository = talker(platform, "talker")
    speak(repository, "other", "test")
    with following(platform, "restart", "talker", "--branch", "master", "--tail") as lines:
        until(lambda: len(said(lines(), "master", "here is one")) == 2, 30)
        platform.command("restart", "talker")
        until(lambda: len(said(lines(), "master", "here is one")) == 3, 30)
        assert any("serve now: web" in line for line in lines())
        assert not any("test." in line for line in lines()), "only of the branch that was changed"


def test_logs_are_followed_across_a_deploy(platform: Running) -> None:
    repository = talker(platform, "changing")
    with following(platform, "logs", "changing", "-f") as lines:
        until(lambda: said(lines(), "master", "here is one") == ["1"], 30)
        speak(repository, "two")
        until(lambda: said(lines(), "master", "here is two") == ["2"], 30)
        platform.command("restart", "changing")
        until(lambda: said(lines(), "master", "here is two") == ["2", "2"], 30)
        assert said(lines(), "master", "here is one") == ["1"]


def test_a_stop_can_be_followed_to_the_last_word(platform: Running) -> None:
    talker(platform, "leaving")
    done = platform.command("stop", "leaving", "--tail")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert said(lines, "master", "farewell of one") == ["1"]
    assert "-----> Stopped" in lines


def with_worker(version: str, said: Path, web: str = "exec python3 app.py") -> dict[str, str]:
    """Return the tree of an app whose worker says all the time of which release it is."""
    worker = f"while :; do echo $BALANCER_RELEASE >> {said}; sleep 0.05; done"
    return app_files(version) | {"Procfile": f"web: {web}\nworker: {worker}\n"}


def test_workers_are_switched_with_what_serves_and_not_where_that_fails(platform: Running) -> None:
    said = platform.directory / "said"
    repository = platform.create("crew")
    repository.commit(with_worker("one", said))
    repository.push("master")

    def since(position: int) -> list[str]:
        """Return what the workers have said from there on."""
        return said.read_text().split()[position:]

    def only(release: str) -> None:
        """See that from now on the workers of this release are at work, and no others."""
        began = len(since(0))
        until(lambda: len(since(began)) >= 20, 30)
        assert set(since(began)) == {release}

    only("1")
    repository.commit(with_worker("two", said, web="echo no such table; sleep 2; exit 3"))
    assert repository.push("master", check=False).returncode != 0
    until(lambda: [i.release for i in platform.client.instances("crew")] == [1, 1], 30)
    assert "2" in since(0), "it was tried, and it takes nothing over"
    only("1")
    repository.commit(with_worker("three", said))
    assert "-----> Live" in repository.push("master").stderr
    only("3")
