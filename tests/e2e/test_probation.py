"""A release that is healthy at first and then dies: the one before is back before anybody has to act."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from endings import Ending, check_cost, dying, may_die
from hammering import Hammer
from running import Running, app_files, running
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("probation")) as started:
        yield started


def test_a_release_that_dies_after_two_seconds_is_rolled_back_in_under_ten(platform: Running, tmp_path: Path) -> None:
    """Only what was in flight on the dying process fails, and nothing that is asked once it has ended: `endings`."""
    shop = platform.create("shop")
    shop.deploy("good")
    good = shop.git("rev-parse", "HEAD").stdout.strip()
    files = app_files("bad")
    note = tmp_path / "note"
    shop.commit({**files, "app.py": dying(note, 2.0, "_exit(3)") + files["app.py"]})
    ending = Ending(note)
    with Hammer(platform.port, "shop.localhost", kept=4, fresh=4).at_work() as tally:
        shop.push("master")
        may_die(note)
        began = time.monotonic()
        until(lambda: "release.rolled.back" in {entry["message"] for entry in platform.log()}, 30)
        seconds = time.monotonic() - began
        seen = tally.bodies.total()
        until(lambda: tally.bodies.total() > seen + 200, 30)
    assert seconds < 10
    cost = check_cost(tally, ending)
    print(f"\nrolled back {seconds:.1f} s after the push; {cost}")
    bad, first = platform.client.releases("shop")
    assert (bad.state, first.state) == ("draining", "live") or (bad.state, first.state) == ("retired", "live")
    assert bad.reason is not None
    assert "web.1 ended by itself" in bad.reason
    assert shop.git("ls-remote", "balancer", "master").stdout.split()[0] == good
    assert shop.push("master").returncode == 0, "the same commit can be pushed again"
