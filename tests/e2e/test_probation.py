"""A release that is healthy at first and then dies: the one before is back before anybody has to act."""

import time
from collections.abc import Iterator

import pytest

from hammering import Hammer
from running import Running, app_files, running
from waiting import until

_DIES = """
import threading
threading.Timer(2.0, lambda: os._exit(3)).start()
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("probation")) as started:
        yield started


def test_a_release_that_dies_after_two_seconds_is_rolled_back_in_under_ten(platform: Running) -> None:
    shop = platform.create("shop")
    shop.deploy("good")
    good = shop.git("rev-parse", "HEAD").stdout.strip()
    files = app_files("bad")
    shop.commit({**files, "app.py": files["app.py"].replace("\nclass App", f"{_DIES}\nclass App", 1)})
    with Hammer(platform.port, "shop.localhost", kept=4, fresh=4).at_work() as tally:
        shop.push("master")
        began = time.monotonic()
        until(lambda: "release.rolled.back" in {entry["message"] for entry in platform.log()}, 30)
        seconds = time.monotonic() - began
        seen = tally.bodies.total()
        until(lambda: tally.bodies.total() > seen + 200, 10)
    assert seconds < 10
    assert tally.failed <= 8, "more than one request of each client: what was in flight on the process that died"
    print(f"\nrolled back {seconds:.1f} s after the push; {tally.describe()}")
    bad, first = platform.client.releases("shop")
    assert (bad.state, first.state) == ("draining", "live") or (bad.state, first.state) == ("retired", "live")
    assert bad.reason is not None
    assert "web.1 ended by itself" in bad.reason
    assert shop.git("ls-remote", "balancer", "master").stdout.split()[0] == good
    assert shop.push("master").returncode == 0, "the same commit can be pushed again"
