"""Branches that come and go, seen by visitors: real git, real HAProxy, real processes."""

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from browsing import Answer, Browser
from hammering import Hammer
from running import Repository, Running, app_files, running
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("branches")) as started:
        yield started


def pushed(platform: Running, app: str, *branches: str) -> Repository:
    """Create an app whose branches are live, each with a page that names it."""
    repository = platform.create(app)
    for branch in branches:
        repository.deploy(branch, branch)
    return repository


def visitor_of(platform: Running, app: str, variant: str) -> Browser:
    """Return a visitor who was assigned a variant, and counted."""
    for _ in range(100):
        browser = Browser(platform.port, f"{app}.localhost")
        browser.get()
        if browser.variant == variant:
            browser.get()
            return browser
    raise AssertionError(f"none of 100 visitors was assigned {variant}")


def stopped(platform: Running, app: str, branch: str) -> bool:
    return all(instance.branch != branch for instance in platform.client.instances(app))


def test_visitors_of_a_branch_that_is_deleted_are_re_homed_to_the_control_and_see_no_error(platform: Running) -> None:
    """Kept and new connections of its visitors, of the control's and of its own host, while git deletes it."""
    repository = pushed(platform, "shop", "master", "test", "blue")
    platform.split("shop", master=40, test=40, blue=20)
    test, master, blue = (visitor_of(platform, "shop", variant) for variant in ("test", "master", "blue"))
    hammers = [
        Hammer(platform.port, "shop.localhost", kept=4, fresh=4, cookie=f"balancer={browser.cookie}")
        for browser in (test, master, blue)
    ]
    with hammers[0].at_work() as ours, hammers[1].at_work() as controls, hammers[2].at_work() as others:
        until(lambda: ours.bodies["test test"] > 100, 30)
        shown = repository.push(":test").stderr
        until(lambda: ours.bodies["master master"] > 100, 30)
        until(lambda: stopped(platform, "shop", "test"), 60)
    print(f"\na branch deleted under load: {ours.describe()}; the control's: {controls.describe()}")
    assert "Taken down: shop test" in shown
    assert "the split s1 goes on without it: master 80 %, blue 20 %" in shown
    assert (ours.failed, controls.failed, others.failed) == (0, 0, 0)
    assert set(ours.bodies) == {"test test", "master master"}
    assert set(controls.bodies) == {"master master"}
    assert set(others.bodies) == {"blue blue"}
    test.get()
    assert test.variant == "master"
    assert test.cookie.split(".")[3] == "2", "assigned anew, in the new phase"
    assert Browser(platform.port, "test--shop.localhost").get().status == 404
    assert platform.command("stats", "shop").returncode == 0
    assert repository.git("ls-remote", "balancer", "test").stdout == ""


def test_a_split_whose_control_alone_is_left_is_over(platform: Running) -> None:
    pushed(platform, "pair", "master", "test")
    platform.split("pair", master=50, test=50)
    browser = visitor_of(platform, "pair", "test")
    with Hammer(
        platform.port, "pair.localhost", kept=3, fresh=3, cookie=f"balancer={browser.cookie}"
    ).at_work() as tally:
        until(lambda: tally.bodies["test test"] > 50, 30)
        done = platform.command("branches", "delete", "pair", "test")
        until(lambda: tally.bodies["master -"] > 50, 30)
        until(lambda: stopped(platform, "pair", "test"), 60)
    assert done.returncode == 0, done.stderr
    assert "is over: only its control master was left" in done.stdout
    assert tally.failed == 0, tally.describe()
    assert platform.client.split("pair").state == "cancelled"
    assert [each.branch for each in platform.client.branches("pair")] == ["master"]


def test_requests_in_flight_on_a_deleted_branch_finish(platform: Running) -> None:
    repository = pushed(platform, "slow", "master")
    asked, go = platform.directory / "asked", platform.directory / "go"
    files = app_files("slow")
    wait = (
        "if self.path == '/slow':\n"
        f"            import pathlib, threading; pathlib.Path({str(asked)!r}).touch()\n"
        f"            while not pathlib.Path({str(go)!r}).exists(): threading.Event().wait(0.02)\n"
        "        body ="
    )
    repository.commit({**files, "app.py": files["app.py"].replace("body =", wait, 1)}, "test")
    repository.push("test")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Browser(platform.port, "test--slow.localhost").get, "/slow")
        until(asked.exists, 30)
        repository.push(":test")
        assert not stopped(platform, "slow", "test")
        go.touch()
        answer: Answer = waiting.result(20)
    assert (answer.status, answer.body) == (200, "slow test")
    until(lambda: stopped(platform, "slow", "test"), 60)


def test_the_default_branch_and_a_control_stay_and_it_is_said_what_to_do(platform: Running) -> None:
    repository = pushed(platform, "kept", "master", "test", "blue")
    refused = repository.push(":master", check=False)
    assert refused.returncode != 0
    assert "make another one that first (`balancer branches default kept BRANCH`)" in refused.stderr
    platform.json("split", "start", "kept", "test=50", "blue=50", "--control", "test")
    done = platform.command("branches", "delete", "kept", "test")
    assert done.returncode == 4
    assert "(`balancer split cancel kept`)" in done.stderr
    platform.client.cancel_split("kept")
    platform.json("branches", "default", "kept", "test")
    assert Browser(platform.port, "kept.localhost").get().body == "test -"
    repository.push(":master")
    assert Browser(platform.port, "kept.localhost").get().body == "test -"
    assert [each.branch for each in platform.client.branches("kept")] == ["blue", "test"]


def test_a_deleted_branch_can_be_brought_back_and_pushed_again(platform: Running) -> None:
    repository = pushed(platform, "again", "master", "test")
    repository.push(":test")
    list(platform.client.rollback("again", "test"))
    assert Browser(platform.port, "test--again.localhost").get().body == "test test"
    repository.push(":test")
    repository.push("test")
    assert Browser(platform.port, "test--again.localhost").get().body == "test test"


def test_branches_with_names_alike_live_side_by_side(platform: Running) -> None:
    repository = platform.create("names")
    names = ["feat/x", "Feat/X", "feat-x", "é", "e", "a.b", "a+b", "A-B"]
    for name in names:
        commit = repository.commit(app_files(name), "work")
        repository.push(f"{commit}:refs/heads/{name}")
    found = {each.branch: each for each in platform.client.branches("names")}
    assert sorted(found) == sorted(names)
    hosts = {name: each.url.partition("//")[2].partition(":")[0] for name, each in found.items()}
    assert len(set(hosts.values())) == len(names)
    for name, host in hosts.items():
        assert Browser(platform.port, host).get().body.startswith(f"{name} "), host
    repository.push(":Feat/X")
    assert Browser(platform.port, hosts["feat/x"]).get().status == 200
    assert Browser(platform.port, hosts["Feat/X"]).get().status == 404
    shown = platform.command("branches", "delete", "names", "é")
    assert shown.returncode == 0, shown.stderr
    assert Browser(platform.port, hosts["é"]).get().status == 404
    assert Browser(platform.port, hosts["e"]).get().status == 200


def test_what_happens_to_an_app_does_not_touch_one_whose_name_begins_alike(platform: Running) -> None:
    blog = pushed(platform, "blog", "master", "test")
    pushed(platform, "blog2", "master", "test")
    pids = {branch: platform.instance_pid("blog2", branch) for branch in ("master", "test")}
    with Hammer(platform.port, "blog2.localhost", kept=3, fresh=3).at_work() as tally:
        blog.deploy("two", "master")
        blog.push(":test")
        list(platform.client.rollback("blog"))
        until(lambda: stopped(platform, "blog", "test"), 60)
    assert tally.failed == 0, tally.describe()
    assert set(tally.bodies) == {"master -"}
    assert {branch: platform.instance_pid("blog2", branch) for branch in ("master", "test")} == pids
    assert [release.state for release in platform.client.releases("blog2")] == ["live", "live"]


def test_pushes_to_two_branches_run_side_by_side(platform: Running) -> None:
    """Each waits for the other before it listens: one after the other, neither would ever be healthy."""
    repository = platform.create("both")
    for mine, other in (("left", "right"), ("right", "left")):
        there = [platform.directory / f"{name}.there" for name in (mine, other)]
        files = app_files(mine)
        meet = (
            "import pathlib, threading\n"
            f"pathlib.Path({str(there[0])!r}).touch()\n"
            f"while not pathlib.Path({str(there[1])!r}).exists(): threading.Event().wait(0.02)\n"
        )
        repository.commit({**files, "app.py": meet + files["app.py"]}, mine)
    done: dict[str, subprocess.CompletedProcess[str]] = {}

    def push(branch: str) -> None:
        done[branch] = repository.push(branch, check=False)

    threads = [threading.Thread(target=push, args=(branch,)) for branch in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert [done[branch].returncode for branch in ("left", "right")] == [0, 0], done
    assert "waiting for its turn" not in done["left"].stderr + done["right"].stderr


def test_a_tag_is_kept_and_deploys_nothing(platform: Running) -> None:
    repository = pushed(platform, "tagged", "master")
    repository.git("tag", "v1")
    assert "Kept: v1; nothing is deployed for a tag" in repository.push("v1").stderr
    assert "refs/tags/v1" in repository.git("ls-remote", "balancer").stdout
    assert len(platform.client.releases("tagged")) == 1


def test_a_deletion_that_a_killed_daemon_left_half_way_is_finished(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        repository = pushed(platform, "shop", "master", "test")
        list(platform.client.delete_branch("shop", "test"))
        # As if git had died before it deleted the ref.
        bare = platform.data / "repositories" / "shop.git"
        subprocess.run(["git", "update-ref", "refs/heads/test", repository.git("rev-parse", "test").stdout.strip()],
                       cwd=bare, check=True)  # fmt: skip
        platform.kill()
        platform.start()
        assert repository.git("ls-remote", "balancer", "test").stdout == ""
        until(lambda: stopped(platform, "shop", "test"), 60)
        assert Browser(platform.port, "shop.localhost").get().body == "master -"
