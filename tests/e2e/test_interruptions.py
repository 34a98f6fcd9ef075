"""What is interrupted half way: a deploy, a push, a stop with requests in flight."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from browsing import Answer, Browser
from running import Repository, Running, app_files, running
from waiting import until


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as started:
        yield started


def gated(version: str, gate: Path) -> dict[str, str]:
    """Return an app that says it is there at once, and listens only when `gate` exists."""
    files = app_files(version)
    wait = (
        "import os, pathlib, threading\n"
        f"pathlib.Path({str(gate)!r} + '.' + str(os.getpid())).touch()\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): threading.Event().wait(0.02)\n"
    )
    return {**files, "app.py": wait + files["app.py"]}


def waiting_pid(gate: Path) -> int | None:
    """Return the pid of the instance that waits at the gate."""
    found = [int(path.name.rpartition(".")[2]) for path in gate.parent.glob(f"{gate.name}.*")]
    return found[0] if found else None


def begin_push(platform: Running, app: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["git", "push", "balancer", "master"],
        cwd=platform.repository(app).directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_daemon_killed_in_the_middle_of_a_deploy_leaves_the_old_release_and_no_orphan(platform: Running) -> None:
    repository = platform.create("shop")
    repository.deploy("one")
    live = platform.client.releases("shop")[0].commit
    gate = platform.directory / "gate"
    repository.commit(gated("two", gate))
    push = begin_push(platform, "shop")
    until(lambda: waiting_pid(gate), 30)
    orphan = waiting_pid(gate)
    platform.kill()
    shown, _ = push.communicate(timeout=60)
    assert push.returncode != 0, shown
    assert Browser(platform.port, "shop.localhost").get().body == "one -"
    platform.start()
    assert Browser(platform.port, "shop.localhost").get().body == "one -"
    until(lambda: not Path(f"/proc/{orphan}").exists(), 30)
    assert [release.state for release in platform.client.releases("shop")] == ["failed", "live"]
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(live)
    gate.touch()
    repository.push("master")
    assert Browser(platform.port, "shop.localhost").get().body == "two -"


def test_a_push_that_is_broken_off_leaves_the_old_or_the_new_and_no_lock(platform: Running) -> None:
    repository = platform.create("shop")
    repository.deploy("one")
    gate = platform.directory / "gate"
    repository.commit(gated("two", gate))
    push = begin_push(platform, "shop")
    until(lambda: waiting_pid(gate), 30)
    os.killpg(push.pid, signal.SIGINT)
    push.communicate(timeout=60)
    gate.touch()
    # It may have gone live all the same; whoever pushes before its ref has followed is refused.
    until(lambda: live_of(platform, "shop") == at(repository), 60)
    repository.deploy("three")
    assert Browser(platform.port, "shop.localhost").get().body == "three -"
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(
        platform.client.releases("shop")[0].commit
    )


def test_a_second_push_to_a_branch_waits_its_turn_and_is_told_so(platform: Running) -> None:
    repository = platform.create("shop")
    gate = platform.directory / "gate"
    repository.commit(gated("one", gate))
    first = begin_push(platform, "shop")
    until(lambda: waiting_pid(gate), 30)
    repository.commit(app_files("two"))
    second = begin_push(platform, "shop")
    assert second.stdout is not None
    for line in second.stdout:
        if "waiting for its turn" in line:
            break
    else:
        pytest.fail("the second push was not told that it waits")
    gate.touch()
    assert first.wait(30) == 0
    rest, _ = second.communicate(timeout=60)
    first.communicate()
    assert second.returncode != 0, "what it believed to be there had moved"
    assert "moved while this push waited" in rest
    repository.push("master")
    assert Browser(platform.port, "shop.localhost").get().body == "two -"


def test_sigterm_lets_requests_in_flight_finish(platform: Running) -> None:
    repository = platform.create("slow")
    marker = platform.directory / "asked"
    files = app_files("slow")
    slow = (
        "if self.path == '/slow':\n"
        f"            import pathlib, threading; pathlib.Path({str(marker)!r}).touch(); threading.Event().wait(1.5)"
    )
    repository.commit({**files, "app.py": files["app.py"].replace("body =", f"{slow}\n        body =", 1)})
    repository.push("master")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Browser(platform.port, "slow.localhost").get, "/slow")
        until(marker.exists, 30)
        stopping = threading.Thread(target=platform.stop)
        stopping.start()
        answer: Answer = waiting.result(20)
        stopping.join(30)
    assert (answer.status, answer.body) == (200, "slow -")
    with pytest.raises(OSError, match="refused"):
        Browser(platform.port, "slow.localhost").get()


def test_a_split_and_its_cookies_survive_a_stop_and_a_start(platform: Running) -> None:
    repository = platform.create("shop")
    repository.deploy("one", "master")
    repository.deploy("two", "test")
    platform.split("shop", master=50, test=50)
    browsers = [Browser(platform.port, "shop.localhost") for _ in range(10)]
    first = [browser.get().body for browser in browsers]
    assert platform.stop() == 0
    platform.start()
    assert [browser.get().body for browser in browsers] == first, "the first answers after a start count too"


def locks(platform: Running, app: str) -> list[Path]:
    return list((platform.data / "repositories" / f"{app}.git").rglob("*.lock"))


def test_a_push_that_is_broken_off_while_it_waits_its_turn_leaves_the_turn_to_others(platform: Running) -> None:
    repository = platform.create("shop")
    gate = platform.directory / "gate"
    repository.commit(gated("one", gate))
    first = begin_push(platform, "shop")
    until(lambda: waiting_pid(gate), 30)
    repository.commit(app_files("two"))
    second = begin_push(platform, "shop")
    assert second.stdout is not None
    for line in second.stdout:
        if "waiting for its turn" in line:
            break
    os.killpg(second.pid, signal.SIGINT)
    second.communicate(timeout=60)
    gate.touch()
    assert first.wait(30) == 0
    first.communicate()
    assert Browser(platform.port, "shop.localhost").get().body == "one -"
    repository.deploy("three")
    assert Browser(platform.port, "shop.localhost").get().body == "three -"
    assert [release.state for release in platform.client.releases("shop")][:1] == ["live"]
    assert locks(platform, "shop") == []


def live_of(platform: Running, app: str) -> list[str]:
    """Return the commits that are live, once nothing is built or started any more."""
    releases = platform.client.releases(app)
    busy = any(release.state in ("building", "starting") for release in releases)
    return [] if busy else [release.commit for release in releases if release.state == "live"]


def at(repository: Repository) -> list[str]:
    """Return the commit that the server's ref of master points at."""
    return repository.git("ls-remote", "balancer", "refs/heads/master").stdout.split()[:1]


def test_a_push_that_is_broken_off_at_any_moment_leaves_the_old_or_the_new_and_no_lock(platform: Running) -> None:
    """^C after the first, second, third … line that the pusher is shown."""
    repository = platform.create("shop")
    repository.deploy("0")
    for number in range(1, 7):
        repository.commit(app_files(str(number)))
        push = begin_push(platform, "shop")
        assert push.stdout is not None
        for _, _line in zip(range(number - 1), push.stdout, strict=False):
            pass
        os.killpg(push.pid, signal.SIGINT)
        push.communicate(timeout=60)
        page = Browser(platform.port, "shop.localhost").get().body
        assert page in {f"{each} -" for each in range(number + 1)}
    # A push that was broken off may go live all the same; whoever pushes before its ref has followed is refused.
    until(lambda: live_of(platform, "shop") == at(repository), 60)
    repository.commit(app_files("last"))
    until(lambda: repository.push("master", check=False).returncode == 0, 60)
    assert Browser(platform.port, "shop.localhost").get().body == "last -"
    live = [release for release in platform.client.releases("shop") if release.state == "live"]
    assert [release.number for release in live] == [platform.client.releases("shop")[0].number]
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(live[0].commit)
    until(lambda: len(platform.client.instances("shop")) <= 2, 30)
    assert locks(platform, "shop") == []


def test_locks_of_a_git_that_was_killed_are_gone_after_a_start(platform: Running) -> None:
    repository = platform.create("shop")
    repository.deploy("one")
    repository.deploy("two", "test")
    platform.kill()
    bare = platform.data / "repositories" / "shop.git"
    for name in ("HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/master.lock", "refs/heads/test.lock"):
        (bare / name).touch()
    platform.start()
    assert locks(platform, "shop") == []
    repository.deploy("three")
    repository.push(":test")
    assert Browser(platform.port, "shop.localhost").get().body == "three -"
