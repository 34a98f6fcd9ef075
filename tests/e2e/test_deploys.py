"""Deploys, seen by visitors: real git, real HAProxy, real processes."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from balancer.errors import ReleaseNotFound
from endings import Ending, check_cost, dying, may_die
from hammering import Hammer
from running import Running, app_files, running
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("deploys")) as started:
        yield started


def test_twenty_deploys_under_load_fail_no_request(platform: Running) -> None:
    """12 kept connections and 12 that open one each time, while git pushes alternate between two commits."""
    repository = platform.create("busy")
    repository.deploy("one", "master")
    first = repository.commit(app_files("one"))
    second = repository.commit(app_files("two"))
    with Hammer(platform.port, "busy.localhost").at_work() as tally:
        for number in range(20):
            repository.push("--force", f"{(second, first)[number % 2]}:refs/heads/master")
    print(f"\n20 deploys under load: {tally.describe()}, {dict(tally.bodies)}")
    assert tally.failed == 0, tally.describe()
    assert tally.requests > 1000
    assert set(tally.bodies) == {"one -", "two -"}


def test_a_new_branch_of_a_busy_app_fails_no_request(platform: Running) -> None:
    """A branch that appears means a reload of HAProxy: its old worker lets no kept connection down."""
    repository = platform.create("growing")
    repository.deploy("one")
    with Hammer(platform.port, "growing.localhost").at_work() as tally:
        for number in range(4):
            repository.deploy("one", f"branch-{number}")
    print(f"\n4 new branches under load: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    reloads = [entry for entry in platform.log() if entry["message"] == "proxy.reloaded"]
    assert len(reloads) >= 4


def test_from_the_end_of_the_build_to_live_takes_less_than_a_second_and_a_half(platform: Running) -> None:
    repository = platform.create("quick")
    repository.deploy("one")
    repository.deploy("two")
    log = platform.log()
    times = []
    for entry in log:
        if entry["message"] == "release.live" and entry["app"] == "quick":
            began = max(
                str(e["at"])
                for e in log
                if e["message"] == "release.built" and e["release"] == entry["release"] and e["app"] == "quick"
            )
            served = min(
                str(e["at"])
                for e in log
                if e["message"] == "release.serving" and e["app"] == "quick" and e["release"] == entry["release"]
            )
            times.append((datetime.fromisoformat(served) - datetime.fromisoformat(began)).total_seconds())
    print(f"\nfrom the end of the build to live: {', '.join(f'{each:.2f} s' for each in times)}")
    assert len(times) == 2
    assert min(times) < 1.5, "the other one may have met with something else that the machine does"


def test_a_push_that_does_not_start_is_refused_and_the_old_release_serves_on(platform: Running) -> None:
    repository = platform.create("broken")
    repository.deploy("good")
    live = platform.client.releases("broken")[0].commit
    repository.commit({"Procfile": "web: python3 app.py\n", "app.py": "print('no settings'); raise SystemExit(3)\n"})
    with Hammer(platform.port, "broken.localhost", kept=2, fresh=2).at_work() as tally:
        pushed = repository.push("master", check=False)
    assert pushed.returncode != 0
    assert "exited with status 3 before it was healthy" in pushed.stderr
    assert "no settings" in pushed.stderr
    assert "what was live before still is" in pushed.stderr
    assert set(tally.bodies) == {"good -"}
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(live)
    assert [release.state for release in platform.client.releases("broken")] == ["failed", "live"]


def test_a_refused_commit_can_be_pushed_again(platform: Running) -> None:
    repository = platform.create("again")
    marker = platform.directory / "there"
    source = f"import pathlib, sys\npathlib.Path({str(marker)!r}).exists() or sys.exit(1)\n"
    files = app_files("again")
    repository.commit({**files, "app.py": source + files["app.py"]})
    assert repository.push("master", check=False).returncode != 0
    marker.touch()
    repository.push("master")
    assert [release.state for release in platform.client.releases("again")] == ["live", "failed"]


def test_rollback_brings_the_release_before_back_and_its_commit(platform: Running) -> None:
    repository = platform.create("back")
    repository.deploy("one")
    repository.deploy("two")
    with Hammer(platform.port, "back.localhost", kept=4, fresh=4).at_work() as tally:
        steps = list(platform.client.rollback("back"))
        until(lambda: tally.bodies["one -"] > 50, 30)
    assert tally.failed == 0, tally.describe()
    release = steps[-1].release
    assert release is not None
    assert (release.number, release.state) == (1, "live")
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(release.commit)


def test_when_a_new_release_dies_right_after_going_live_visitors_get_the_old_one_at_once(
    platform: Running, tmp_path: Path
) -> None:
    """Only what was in flight on the dying process fails (`endings`); all others are answered by what stands by."""
    repository = platform.create("brief")
    repository.deploy("old")
    files = app_files("new")
    note = tmp_path / "note"
    repository.commit(files | {"app.py": dying(note, 2, "kill(os.getpid(), signal.SIGKILL)") + files["app.py"]})
    ending = Ending(note)
    with Hammer(platform.port, "brief.localhost").at_work() as tally:
        repository.push("master")
        may_die(note)
        until(lambda: tally.bodies["new -"], 30)
        until(lambda: platform.client.releases("brief")[1].state == "live", 30)
        seen = tally.bodies["old -"]
        until(lambda: tally.bodies["old -"] > seen + 500, 30)
    cost = check_cost(tally, ending)
    print(f"\na release that died 2 s after going live: {cost}, {dict(tally.bodies)}")
    assert set(tally.errors) <= {"RemoteDisconnected"}, "somebody was refused"
    assert set(tally.statuses) <= {200, 502}, "somebody found no server"


def test_there_is_nothing_to_roll_back_to_before_the_second_release(platform: Running) -> None:
    repository = platform.create("young")
    repository.deploy("one")
    with pytest.raises(ReleaseNotFound):
        list(platform.client.rollback("young"))


def test_drained_instances_stop_and_their_releases_retire(platform: Running) -> None:
    repository = platform.create("tidy")
    repository.deploy("one")
    old = platform.instance_pid("tidy", "master")
    repository.deploy("two")
    assert [each.state for each in platform.client.instances("tidy")] == ["standby", "healthy"]
    repository.deploy("three")  # one release stands by at most
    until(lambda: not Path(f"/proc/{old}").exists(), 30)
    until(lambda: platform.client.releases("tidy")[2].state == "retired", 30)
    assert [each.state for each in platform.client.instances("tidy")] == ["standby", "healthy"]


def test_config_vars_reach_the_next_release(platform: Running) -> None:
    repository = platform.create("configured")
    list(platform.client.change_config("configured", {"GREETING": "good morning"}, later=True))
    source = app_files("x")["app.py"].replace("VERSION = 'x'", "import os; VERSION = os.environ['GREETING']")
    repository.commit({"Procfile": "web: python3 app.py\n", "app.py": source})
    repository.push("master")
    with Hammer(platform.port, "configured.localhost", kept=1, fresh=0).at_work() as tally:
        until(lambda: tally.requests, 30)
    assert set(tally.bodies) == {"good morning -"}
    raw = (platform.data / "registry.db").read_bytes() + (platform.data / "registry.db-wal").read_bytes()
    assert b"good morning" not in raw


def test_rollbacks_back_and_forth_under_load_fail_no_request(platform: Running) -> None:
    """The release before still drains, or is just being stopped, when it is wanted again."""
    repository = platform.create("seesaw")
    repository.deploy("one")
    repository.deploy("two")
    with Hammer(platform.port, "seesaw.localhost").at_work() as tally:
        for _ in range(8):
            list(platform.client.rollback("seesaw"))
    print(f"\n8 rollbacks under load: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
