"""Commands run once, config vars as releases, and rollbacks with them: as an operator does it, with real processes."""

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from balancer.process_table import family
from balancer.wire.instances import CronBody
from hammering import Hammer
from running import BALANCER, Repository, Running, app_files, running
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # 600 s: what is rolled back to stands by still, however long the tests before take.
    with running(tmp_path_factory.mktemp("runs"), BALANCER_STANDBY_SECONDS="600") as started:
        yield started


def greeting(version: str) -> dict[str, str]:
    """Return an app that answers with the config var GREETING, and does not start where that is `bad`."""
    source = app_files(version)["app.py"].replace(
        f"VERSION = {version!r}", "import os; VERSION = os.environ.get('GREETING', 'none'); assert VERSION != 'bad'"
    )
    return {"Procfile": "web: python3 app.py\n", "app.py": source, "version": version}


@pytest.fixture(scope="module")
def shop(platform: Running) -> Repository:
    """An app that is live on two branches."""
    repository = platform.create("shop")
    for branch in ("master", "test"):
        cron = '[[cron]]\nschedule = "* * * * *"\ncommand = "echo $GREETING in $BALANCER_RELEASE"\n'
        repository.commit(greeting(branch) | {"balancer.toml": cron}, branch)
        repository.push(branch)
    return repository


def run(platform: Running, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command by `balancer run shop`."""
    return subprocess.run(
        [BALANCER, "run", "shop", *words],
        env=platform.environment(),
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


def marked(platform: Running) -> bool:
    """Tell whether a command that was run once still runs."""
    return bool(family(None, ("BALANCER_RUN", str(platform.data))))


def test_a_command_runs_in_the_release_and_its_status_is_that_of_balancer_run(
    platform: Running, shop: Repository
) -> None:
    done = run(platform, "--branch", "test", "--", "sh", "-c", "cat version; echo $BALANCER_BRANCH >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"test", b"test\n")


def test_what_is_piped_in_arrives_byte_for_byte(platform: Running, shop: Repository) -> None:
    given = bytes(range(256)) * 20_000
    done = run(platform, "--", "cat", given=given)
    assert (done.returncode, done.stdout == given) == (0, True)
    assert run(platform, "--timeout", "0.3", "--", "sleep", "600").returncode == 124


def test_it_speaks_json_and_refuses_what_is_not_there(platform: Running, shop: Repository) -> None:
    assert platform.json("run", "shop", "echo", "hello") == {"status": 0, "stdout": "hello\n", "stderr": ""}
    assert platform.command("run", "shop", "--", "nothing-like-this").returncode == 2
    assert platform.command("run", "shop", "--branch", "none", "--", "true").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_ends_when_its_caller_goes_away(platform: Running, shop: Repository, number: int) -> None:
    caller = subprocess.Popen(
        [BALANCER, "run", "shop", "--", "sh", "-c", "echo here; sleep 600"],
        env=platform.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"here\n"
    assert marked(platform)
    caller.send_signal(number)
    caller.wait(20)
    caller.stdout.close()
    until(lambda: not marked(platform), 30)


def test_a_command_that_a_killed_daemon_ran_is_ended_at_its_next_start(platform: Running, shop: Repository) -> None:
    caller = subprocess.Popen(
        [BALANCER, "run", "shop", "--", "sh", "-c", "echo here; exec sleep 600"],
        env=platform.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"here\n"
    platform.kill()
    assert caller.wait(20) == 9
    caller.stdout.close()
    assert marked(platform)
    platform.start()
    until(lambda: not marked(platform), 30)


def pages(platform: Running, host: str) -> set[str]:
    """Return what a few visitors get."""
    with Hammer(platform.port, host, kept=1, fresh=1).at_work() as tally:
        until(lambda: tally.requests > 20, 30)
    assert tally.failed == 0, tally.describe()
    return set(tally.bodies)


def test_config_vars_change_under_load_without_a_failed_request(platform: Running, shop: Repository) -> None:
    with Hammer(platform.port, "shop.localhost").at_work() as tally:
        for value in ("one", "two", "three"):
            done = platform.command("config", "set", "shop", f"GREETING={value}")
            assert done.returncode == 0, done.stderr
    print(f"\nthree changes of config vars under load: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert pages(platform, "shop.localhost") == {"three -"}
    assert pages(platform, "test--shop.localhost") == {"three test"}
    newest = platform.client.releases("shop", 1)[0]
    assert newest.subject == "Config: set GREETING"


def test_config_vars_that_an_app_does_not_start_with_change_nothing(platform: Running, shop: Repository) -> None:
    before = platform.client.config("shop")
    done = platform.command("config", "set", "shop", "GREETING=bad")
    assert done.returncode == 6
    assert "AssertionError" in done.stderr
    assert platform.client.config("shop") == before
    assert pages(platform, "shop.localhost") == {"three -"}


def standing_by(platform: Running) -> list[str]:
    """Return the instances of what was live before, which a rollback would reclaim."""
    found = platform.client.instances("shop")
    return [each.name for each in found if each.branch == "master" and each.state in ("standby", "draining")]


@pytest.mark.parametrize("cold", [False, True], ids=["of what stands by", "of what has to be started"])
def test_a_rollback_brings_config_vars_back_within_two_seconds(platform: Running, shop: Repository, cold: bool) -> None:
    took = []
    for expected in ("two", "three"):
        if cold:  # nothing of an app that was stopped is there but what is live
            assert platform.command("stop", "shop").returncode == 0
            assert platform.command("start", "shop").returncode == 0
        assert bool(standing_by(platform)) != cold
        began = time.monotonic()
        (*steps, end) = platform.client.rollback("shop")
        took.append(time.monotonic() - began)
        assert any((step.line or "").startswith("-----> Starting release") for step in steps) == cold
        print(f"\nrolled back to release {end.release.number if end.release else '?'} in {took[-1]:.2f} s, {cold=}")
        assert platform.client.config("shop") == {"GREETING": expected}
        assert pages(platform, "shop.localhost") == {f"{expected} -"}
    assert min(took) < 2, "the other one may have met with something else that the machine does"


def test_cron_jobs_run_and_what_they_print_is_shown(platform: Running, shop: Repository) -> None:
    """Last of all, because most of the minute that it may take has gone by then."""
    ended: list[CronBody] = []

    def has_ended() -> bool:  # when a minute begins there is another run, which has not
        ended[:] = platform.client.cron("shop")
        return ended[0].ended_at is not None

    until(has_ended, 90)
    (job,) = ended
    assert (job.schedule, job.status) == ("* * * * *", 0)
    assert "with status 0" in platform.command("cron", "shop").stdout
    shown = platform.command("logs", "shop", "--release", str(job.release), "--process", "cron").stdout
    assert f" in {job.release}\n" in shown


def test_an_app_that_is_deleted_is_gone_and_its_host_says_so(platform: Running, shop: Repository) -> None:
    assert platform.command("apps", "delete", "shop").returncode == 1, "nobody says yes"
    done = platform.command("apps", "delete", "shop", "--yes")
    assert done.returncode == 0, done.stderr
    assert platform.client.apps() == []
    assert not (platform.data / "releases" / "shop").exists()
    with Hammer(platform.port, "shop.localhost", kept=1, fresh=0).at_work() as tally:
        until(lambda: tally.requests, 30)
    assert set(tally.statuses) == {404}
