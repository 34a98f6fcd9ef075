"""Every push a canary, with real git, HAProxy and visitors: promoted, rolled back, superseded, and no request fails."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balancer.crashpoints import CrashPoint
from browsing import Browser
from hammering import Hammer
from running import Repository, Running, app_files, running
from waiting import until

CANARY = 'rollout = {mode = "canary", steps = [40, 60, 100], step_time = "0s"}\n'
# 10 ms between two requests of a client: the point is that none fails.
PAUSE_SECONDS = 0.01


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says at which point the daemon is to die."""
    return tmp_path_factory.mktemp("chosen") / "point"


@pytest.fixture(scope="module")
def platform(chosen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("push-modes"), BALANCER_CRASH_AT=str(chosen)) as started:
        yield started


def commit(work: Repository, version: str, said: str = CANARY, *, fails: bool = False, branch: str = "master") -> str:
    """Commit a version of the app whose pages, but for its health, fail or not."""
    files = app_files(version)
    if fails:
        files["app.py"] = files["app.py"].replace('self.path == "/fail"', 'self.path != "/healthy"')
    return work.commit({**files, "balancer.toml": f'health_path = "/healthy"\n{said}'}, branch)


def created(platform: Running, app: str) -> Repository:
    """Create an app whose master is live."""
    work = platform.create(app)
    commit(work, "one")
    work.push("master")
    return work


def live(platform: Running, app: str) -> dict[str, str]:
    """Return the commits that are live, by branch."""
    return {each.branch: each.commit for each in platform.client.releases(app) if each.state == "live"}


def ref(work: Repository, branch: str = "master") -> str | None:
    """Return where the platform's ref of a branch points."""
    said = work.git("ls-remote", "--heads", "balancer", branch).stdout.split()
    return said[0] if said else None


def state(platform: Running, app: str) -> str:
    return platform.client.rollout(app).rollout.state


def seen(platform: Running, app: str, count: int = 40) -> list[str]:
    """Return which versions new visitors see."""
    return [Browser(platform.port, f"{app}.localhost").get().body.split()[0] for _ in range(count)]


@contextmanager
def visitors(platform: Running, app: str) -> Iterator[None]:
    """Let visitors come one after the other, and each come back once."""
    over = threading.Event()

    def come() -> None:
        while not over.is_set():
            browser = Browser(platform.port, f"{app}.localhost")
            browser.get()
            browser.get()

    threads = [threading.Thread(target=come) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def test_a_push_is_a_canary_until_its_visitors_have_shown_that_it_is_fine(platform: Running) -> None:
    work = created(platform, "fine")
    first = ref(work)
    second = commit(work, "two")
    with Hammer(platform.port, "fine.localhost", kept=2, fresh=2, pause_seconds=PAUSE_SECONDS).at_work() as tally:
        shown = work.push("master").stderr
        assert "canary: 40 % of new visitors; watch with `balancer rollout status fine --watch`" in shown
        assert live(platform, "fine") == {"master": first, "canary": second}
        assert ref(work) == second, "what was accepted"
        kept = [Browser(platform.port, "fine.localhost") for _ in range(60)]
        versions = {browser: browser.get().body.split()[0] for browser in kept}
        assert {"one": "master", "two": "canary"}[versions[kept[0]]] == kept[0].variant
        assert 10 <= sum(version == "two" for version in versions.values()) <= 40, "40 %, by the cookie"
        assert all(browser.get().body.split()[0] == version for browser, version in versions.items()), "each keeps it"
        with visitors(platform, "fine"):
            until(lambda: state(platform, "fine") == "done", 120)
        until(lambda: set(seen(platform, "fine")) == {"two"}, 30)
    assert tally.failed == 0, tally.describe()
    assert live(platform, "fine") == {"master": second}
    assert (ref(work), ref(work, "canary")) == (second, None)
    rules = [each.action.rule for each in platform.client.rollout_decisions("fine")]
    assert (rules.count("step passed"), rules[-1]) == (1, "fit for everybody")
    assert all(browser.get().body.startswith("two") for browser in kept)


def test_a_canary_that_fails_is_taken_back_and_so_is_its_ref(platform: Running) -> None:
    work = created(platform, "bad")
    first = ref(work)
    second = commit(work, "two", fails=True)
    work.push("master")
    assert ref(work) == second
    with visitors(platform, "bad"):
        until(lambda: state(platform, "bad") == "rolled back", 60)
    until(lambda: set(seen(platform, "bad")) == {"one"}, 30)
    until(lambda: ref(work) == first, 30)
    assert live(platform, "bad") == {"master": first, "canary": second}, "it is there to be looked at"
    assert Browser(platform.port, "canary--bad.localhost").get().status == 500
    shown = platform.command("rollout", "status", "bad", "--watch")
    assert shown.returncode == 1, "a script that waits for it fails"
    assert re.search(rf"^Release +2, {second[:7]} ", shown.stdout, flags=re.MULTILINE)
    assert re.search(r"^Why +(hard stop|guardrail): ", shown.stdout, flags=re.MULTILINE)
    assert "balancer logs bad --branch canary has what it printed" in shown.stdout
    assert work.push("master").returncode == 0, "the same commit can be pushed again"
    assert (state(platform, "bad"), ref(work)) == ("running", second)
    assert platform.command("rollout", "abort", "bad").returncode == 0
    assert live(platform, "bad") == {"master": first}
    until(lambda: (ref(work), ref(work, "canary")) == (first, None), 30)


def test_a_push_takes_the_place_of_the_canary_before_it_and_one_can_switch_at_once(platform: Running) -> None:
    work = created(platform, "quick")
    first = ref(work)
    with Hammer(platform.port, "quick.localhost", kept=2, fresh=2, pause_seconds=PAUSE_SECONDS).at_work() as tally:
        commit(work, "two")
        work.push("master")
        older = platform.client.rollout("quick").rollout
        third = commit(work, "three")
        work.push("master")
        assert live(platform, "quick") == {"master": first, "canary": third}
        newer = platform.client.rollout("quick").rollout
        assert (newer.split != older.split, newer.step, newer.state) == (True, 1, "running")
        ended = [entry for entry in platform.log() if entry["message"] == "rollout.aborted"]
        assert [entry["reason"] for entry in ended if entry["app"] == "quick"] == ["superseded by release 3"]
        assert "two" not in seen(platform, "quick")
        fourth = commit(work, "four")
        refused = work.push("-o", "rollout=nine", "master", check=False)
        assert refused.returncode != 0
        assert "the push option 'rollout=nine' cannot be: rollout=none switches at once" in refused.stderr
        assert live(platform, "quick") == {"master": first, "canary": third}
        work.push("-o", "rollout=none", "master")
        assert live(platform, "quick") == {"master": fourth}
        assert (ref(work), ref(work, "canary")) == (fourth, None)
        until(lambda: set(seen(platform, "quick")) == {"four"}, 30)
        commit(work, "five")
        arguments = ("quick", "--from", str(work.directory))
        assert platform.command("deploy", *arguments).returncode == 0
        assert set(live(platform, "quick")) == {"master", "canary"}
        assert ref(work) == live(platform, "quick")["canary"]
        assert platform.command("deploy", *arguments, "--rollout", "none").returncode == 0
        assert set(live(platform, "quick")) == {"master"}
        assert ref(work) == live(platform, "quick")["master"]
    assert tally.failed == 0, tally.describe()


def test_an_experiment_begins_with_its_push(platform: Running) -> None:
    work = created(platform, "tried")
    platform.declare("tried", "purchase")
    work.git("branch", "test")
    commit(work, "blue", 'rollout = {mode = "experiment", metric = "purchase"}\n', branch="test")
    shown = work.push("test").stderr
    assert "experiment: 50 % of new visitors; watch with `balancer rollout status tried --watch`" in shown
    found = platform.client.rollout("tried").rollout
    assert (found.branch, found.weight, found.plan.metric, found.plan.auto_promote) == ("test", 50, "purchase", False)
    assert set(seen(platform, "tried")) == {"one", "blue"}
    commit(work, "two")
    refused = work.push("master", check=False)
    assert refused.returncode != 0
    assert "push with `git push -o rollout=none` to switch at once" in refused.stderr
    assert "blue" in seen(platform, "tried")


def test_a_daemon_killed_while_a_canary_is_promoted_finishes_it(platform: Running, chosen: Path) -> None:
    work = created(platform, "killed")
    for point in (CrashPoint.ROLLOUT_MOVED, CrashPoint.ACTIVATED):
        pushed = commit(work, point.value.replace("-", "_"))
        work.push("master")
        chosen.write_text(point.value)
        assert platform.command("rollout", "promote", "killed").returncode != 0
        platform.wait_until_dead()
        chosen.unlink()
        platform.start()
        until(lambda: state(platform, "killed") == "done", 30)
        assert live(platform, "killed") == {"master": pushed}
        until(lambda: set(seen(platform, "killed")) == {point.value.replace("-", "_")}, 30)  # noqa: B023 - now
        until(lambda: (ref(work), ref(work, "canary")) == (pushed, None), 30)  # noqa: B023 - now
