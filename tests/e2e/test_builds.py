"""Builds beside what serves: nobody notices them, and one that is cancelled is gone with all it started."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer import processes
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

BURN = "for n in 1 2 3 4; do timeout 3 sh -c 'while :; do :; done' & done; wait"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("builds")) as made:
        made.create("shop").deploy("one")
        yield made


def test_a_build_that_burns_all_cores_fails_no_request(platform: Running) -> None:
    shop = platform.repository("shop")
    shop.commit({**app_files("two"), "balancer.toml": f'build = """{BURN}"""\n'})
    with Hammer(platform.port, "shop.localhost", kept=4, fresh=4).at_work() as tally:
        shop.push("master")
    print(f"a build on all cores: {tally.describe()}")
    assert tally.failed == 0
    assert tally.requests > 100


def test_a_cancelled_deploy_is_gone_with_what_fled_and_who_pushed_is_told_by_whom(platform: Running) -> None:
    shop = platform.repository("shop")
    shop.commit({**app_files("three"), "balancer.toml": 'build = "setsid sleep 1000 & touch begun; sleep 1000"\n'})
    pushed: list[subprocess.CompletedProcess[str]] = []
    pusher = threading.Thread(target=lambda: pushed.append(shop.push("master", check=False)))
    pusher.start()
    tree = platform.data / "releases" / "shop"
    until(lambda: list(tree.glob("*/tree/begun")), 60)
    done = platform.command("cancel", "shop")
    assert done.returncode == 0, done.stderr
    pusher.join(60)
    assert pushed[0].returncode != 0
    assert "the deploy of shop master was cancelled by operator" in " ".join(pushed[0].stderr.split())
    assert processes.kill_marked("BALANCER_BUILD", str(platform.data)) == 0
    newest = platform.client.releases("shop", 1)[0]
    assert (newest.state, newest.reason) == ("failed", "the deploy of shop master was cancelled by operator")
    log = Path(tree / str(newest.number) / "log" / "build.log").read_text()
    assert log.endswith("-----> Not live: the deploy of shop master was cancelled by operator\n")
    again = platform.command("cancel", "shop")
    assert (again.returncode, "no deploy of shop is under way" in again.stderr) == (3, True)
