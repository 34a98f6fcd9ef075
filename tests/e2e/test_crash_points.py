"""kill -9 of the daemon at every crash point: the old or the new is live, and nothing is left."""

import contextlib
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer.crashpoints import CrashPoint
from balancer.errors import DaemonUnreachable, RolloutNotFound
from balancer.wire.events import SentEventBody
from browsing import Browser
from edge_lines import visitor
from hammering import Hammer
from running import Repository, Running, app_files, running
from waiting import until

APP = "shop"
# Those that a start passes too.
PASSED_AT_START = (CrashPoint.FILES_WRITTEN, CrashPoint.PROXY_FOLLOWED)
# Those of a deletion, of which nothing is to be left; the first is where the app has just been stopped.
OF_A_DELETION = (
    CrashPoint.INSTANCES_REPLACED,
    CrashPoint.REPOSITORY_DISCARDED,
    CrashPoint.RELEASES_DISCARDED,
    CrashPoint.APP_REMOVED,
)
# What no push passes: tests/e2e/test_rollouts.py, test_bandits.py, test_notices.py.
ELSEWHERE = (
    CrashPoint.ROLLOUT_MOVED,
    CrashPoint.ROLLOUT_ENDED,
    CrashPoint.BANDIT_MOVED,
    CrashPoint.CRASH_LOOP_SEEN,
)

# One that takes no step by itself.
CANARY = 'rollout = {mode = "canary", step_time = "1d"}\n'
# 20 ms between two requests of each of four clients: the point is when it is killed, not how fast it serves.
PAUSE_SECONDS = 0.02


class Site:
    """A platform with one app, whose daemon dies where a test wants it to."""

    def __init__(self, platform: Running, chosen: Path) -> None:
        self.platform = platform
        self.repository: Repository = platform.create(APP)
        self._chosen = chosen
        self._versions: dict[str, str] = {}
        """Commit → what its page says."""
        self.configs = [""]
        """What its page says behind that: the config var that was set, once it was."""

    def commit(self, branch: str = "master", release_command: str = "true", manifest: str = "") -> str:
        """Commit another version, and return the commit."""
        version = f"version {len(self._versions)} of {branch}"
        files = app_files(version)
        files["app.py"] = f"import os\nCONFIG = os.environ.get('NUMBER', '')\n{files['app.py']}".replace(
            "(VERSION + ", "(VERSION + CONFIG + "
        )
        files["Procfile"] += f"release: {release_command}\n"
        commit = self.repository.commit({**files, **({"balancer.toml": manifest} if manifest else {})}, branch)
        self._versions[commit] = version
        return commit

    def live(self) -> dict[str, str]:
        """Return the commits that the registry says are live, by branch."""
        return {r.branch: r.commit for r in self.platform.client.releases(APP) if r.state == "live"}

    @contextlib.contextmanager
    def dies_at(self, point: CrashPoint) -> Iterator[None]:
        """Let the daemon die at a point, in what the block does, and start it again."""
        self._chosen.write_text(point.value)
        try:
            yield
            self.platform.wait_until_dead()
        finally:
            self._chosen.unlink()

    def canary_goes_on(self) -> bool:
        """Tell whether the rollout of a canary goes on."""
        try:
            return self.platform.client.rollout(APP).rollout.state == "running"
        except RolloutNotFound:
            return False

    def check(self) -> None:
        """Check that all visitors see what the registry says, git says the same, and nothing is left over."""
        until(self._is_settled, 60)
        until(self._refs_follow, 30)
        live, config = self.live(), self.platform.client.config(APP)
        for branch, commit in live.items():
            browser = Browser(self.platform.port, f"{branch}--{APP}.localhost")
            seen = {browser.get().body for _ in range(10)}
            # A rollback brings the config vars back of the default branch alone.
            configs = {config.get("NUMBER", "")} if branch == "master" else {*self.configs}
            assert len(seen) == 1
            assert seen <= {f"{self._versions[commit]}{number} {branch}" for number in configs}
        assert list((self.platform.data / "repositories").rglob("*.lock")) == []
        states = {release.state for release in self.platform.client.releases(APP)}
        assert states <= {"live", "draining", "retired", "failed"}

    def _refs_follow(self) -> bool:
        """Tell whether git says what the registry does; a canary has a live branch as well as a rollout, or neither."""
        listed = self.repository.git("ls-remote", "--heads", "balancer").stdout.splitlines()
        live, goes_on = self.live(), self.canary_goes_on()
        refs = {ref.removeprefix("refs/heads/"): commit for commit, ref in (line.split("\t") for line in listed)}
        return ("canary" in live) == goes_on and refs == ({**live, "master": live["canary"]} if goes_on else live)

    def _is_settled(self) -> bool:
        """Tell whether each process is an instance, each instance a process, and each port an instance's."""
        instances = self.platform.client.instances(APP)
        with contextlib.closing(sqlite3.connect(self.platform.data / "registry.db")) as registry:
            leased = {row[0] for row in registry.execute("SELECT port FROM instances WHERE state != 'stopped'")}
        healthy = Counter(instance.branch for instance in instances if instance.state == "healthy")
        count = self.platform.client.formation(APP)["web"]
        return (
            healthy == dict.fromkeys(self.live(), count)
            and leased == {instance.port for instance in instances}
            and sessions_of_apps(self.platform.data) == {instance.pid for instance in instances}
        )


def sessions_of_apps(data: Path) -> set[int]:
    """Return the sessions of all processes that are instances or builds below a data directory."""
    ours, found = str(data).encode(), set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(v.startswith((b"BALANCER_INSTANCE=" + ours, b"BALANCER_BUILD=" + ours)) for v in variables):
                found.add(os.getsid(int(entry.name)))
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("crashes")
    chosen = directory / "chosen"
    with running(directory, BALANCER_CRASH_AT=str(chosen), BALANCER_KEEP_RELEASES="1") as platform:
        found = Site(platform, chosen)
        for _ in range(3):  # the first can be pruned when there is a fourth
            found.commit()
            found.repository.push("master")
        found.check()
        yield found


def push(site: Site) -> None:
    site.repository.push("master", check=False)


def push_a_new_branch(site: Site) -> None:
    site.commit("test")
    site.repository.push("test", check=False)


def remove_a_branch(site: Site) -> None:
    if "test" not in site.live():
        push_a_new_branch(site)
    site.platform.command("branches", "delete", APP, "test")


def roll_back(site: Site) -> None:
    site.platform.command("rollback", APP)


def configure(site: Site) -> None:
    site.configs.append(f" with {len(site.configs)}")
    site.platform.command("config", "set", APP, f"NUMBER={site.configs[-1]}")


def restart(site: Site) -> None:
    site.platform.command("restart", APP)


def scale(site: Site) -> None:
    site.platform.command("scale", APP, f"web={3 - site.platform.client.formation(APP)['web']}")


def try_the_measuring_out(site: Site) -> None:
    site.platform.command("split", "start", APP, "--aa")
    site.platform.command("split", "cancel", APP)


def push_a_canary(site: Site) -> None:
    site.commit(manifest=CANARY)
    site.repository.push("master", check=False)


def take_a_canary_back(site: Site) -> None:
    push_a_canary(site)
    site.platform.command("rollout", "abort", APP)


def send_events(site: Site) -> None:
    with contextlib.suppress(DaemonUnreachable):
        site.platform.client.send_events(APP, [SentEventBody(visitor=visitor(1), name="sold")] * 3)


# What passes a point; a push does, where nothing else is said.
ACTS: dict[CrashPoint, tuple[Callable[[Site], None], ...]] = {
    CrashPoint.PROXY_RELOADED: (push_a_new_branch,),
    CrashPoint.REF_MOVED: (roll_back,),
    CrashPoint.TWIN_REMOVED: (try_the_measuring_out,),
    CrashPoint.BEFORE_ACTIVATE: (push, push_a_canary),
    CrashPoint.DEPLOYED: (push, push_a_canary),
    CrashPoint.ROLLOUT_BEGUN: (push_a_canary,),
    CrashPoint.CANARY_TAKEN_BACK: (take_a_canary_back,),
    CrashPoint.REF_DELETED: (remove_a_branch, take_a_canary_back),
    CrashPoint.BRANCH_REMOVED: (remove_a_branch,),
    CrashPoint.CONFIG_RELEASE_OPENED: (configure,),
    CrashPoint.RECONFIGURED: (configure,),
    CrashPoint.INSTANCES_REPLACED: (restart, scale),
    CrashPoint.EVENTS_WRITTEN: (send_events,),
    CrashPoint.EVENTS_SYNCED: (send_events,),
}
CASES = [
    pytest.param(point, act, id=point.value if act is push else f"{point.value}-{act.__name__}")
    for point in CrashPoint
    for act in ACTS.get(point, () if point in OF_A_DELETION + ELSEWHERE else (push,))
]


@pytest.mark.parametrize(("point", "act"), CASES)
def test_a_daemon_killed_there_leaves_the_old_or_the_new_release_and_nothing_else(
    site: Site, point: CrashPoint, act: Callable[[Site], None]
) -> None:
    before = site.live()["master"]
    after = site.commit()
    with Hammer(
        site.platform.port, f"{APP}.localhost", kept=2, fresh=2, pause_seconds=PAUSE_SECONDS
    ).at_work() as tally:
        with site.dies_at(point):
            act(site)
        site.platform.start()
        site.check()
    assert tally.failed == 0, tally.describe()
    if site.live()["master"] != before:
        assert site.live()["master"] == after or act is roll_back
    if act in (push_a_canary, take_a_canary_back):
        after = site.commit()  # which is none, and takes the place of one that goes on
    site.repository.push("--force", "master")
    site.check()
    assert site.live()["master"] == after


def test_what_a_build_was_doing_is_ended_at_the_next_start(site: Site) -> None:
    begun, serving = site.platform.directory / "begun", sessions_of_apps(site.platform.data)
    # What flees says so itself: it is in a session of its own by then.
    site.commit(release_command=f"setsid sh -c 'touch {begun}; sleep 600' & sleep 600")
    pushing = threading.Thread(target=push, args=[site])
    pushing.start()
    until(begun.exists, 30)
    site.platform.kill()
    pushing.join(30)
    assert len(sessions_of_apps(site.platform.data) - serving) == 2, "the release command, and what fled from it"
    site.platform.start()
    site.check()


@pytest.mark.parametrize("point", PASSED_AT_START, ids=lambda point: point.value)
def test_a_daemon_killed_while_it_recovers_recovers_at_the_next_start(site: Site, point: CrashPoint) -> None:
    after = site.commit()
    with site.dies_at(CrashPoint.ACTIVATED):
        push(site)
    with Hammer(
        site.platform.port, f"{APP}.localhost", kept=2, fresh=2, pause_seconds=PAUSE_SECONDS
    ).at_work() as tally:
        with site.dies_at(point), pytest.raises(AssertionError):
            site.platform.start()
        site.platform.start()
        site.check()
    assert tally.failed == 0, tally.describe()
    assert site.live()["master"] == after


def test_a_daemon_killed_while_an_app_is_deleted_leaves_one_that_is_stopped_and_can_be_deleted(site: Site) -> None:
    name = "gone"
    site.platform.create(name).deploy("one")
    browser = Browser(site.platform.port, f"{name}.localhost")
    with Hammer(
        site.platform.port, f"{APP}.localhost", kept=1, fresh=1, pause_seconds=PAUSE_SECONDS
    ).at_work() as tally:
        for point in OF_A_DELETION:
            with site.dies_at(point):
                site.platform.command("apps", "delete", name, "--yes")
            site.platform.start()
            there = point is not CrashPoint.APP_REMOVED
            assert (name in {app.name for app in site.platform.client.apps()}) == there
            if there:
                until(lambda: browser.get().status == 503, 30)
                until(lambda: not site.platform.client.instances(name), 30)
                assert "switched off" in browser.get().body
        until(lambda: browser.get().status == 404, 30)
        assert not (site.platform.data / "releases" / name).exists()
        assert not (site.platform.data / "repositories" / f"{name}.git").exists()
        site.platform.client.create_app(name)
        assert site.platform.client.releases(name) == []
        work = site.platform.repository(name)
        work.push("master")
        assert browser.get().body.startswith("one ")
    assert tally.failed == 0, tally.describe()
