"""A split from its start to its winner, by the commands, under load, without a reload and without a failed request."""

from collections.abc import Iterator

import pytest

from browsing import Browser
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("split-life")) as started:
        repository = started.create(APP)
        repository.deploy("one", "master")
        repository.git("branch", "test", "master")  # so that it has all that master has
        repository.deploy("two", "test")
        yield started


def said(platform: Running, *words: str) -> str:
    done = platform.command(*words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_from_the_start_to_the_winner_nobody_notices_anything_but_the_branch(platform: Running) -> None:
    platform.declare(APP, "purchase")
    before = platform.reloads()
    words = ("--name", "Buttons", "--metric", "purchase", "--hypothesis", "It sells more", "--hold-out", "0")
    with Hammer(platform.port, HOST, kept=4, fresh=4).at_work() as tally:
        out = said(platform, "split", "start", APP, "master=50", "test=50", *words)
        assert "Split s1 (Buttons) of shop, running: master 50 %, test 50 %" in out
        assert "Hypothesis: It sells more" in out
        loyal = [Browser(platform.port, HOST) for _ in range(24)]
        seen = [browser.get().body for browser in loyal]
        assert set(seen) == {"one master", "two test"}
        assert "paused" in said(platform, "split", "pause", APP)
        assert [browser.get().body for browser in loyal] == seen
        assert {Browser(platform.port, HOST).get().body for _ in range(8)} == {"one -"}
        assert "running" in said(platform, "split", "resume", APP)
        assert "s2" in said(platform, "split", "reshuffle", APP)
        for browser in loyal:
            browser.get()
        assert {browser.cookie.split(".")[1] for browser in loyal} == {"s2"}
        out = said(platform, "split", "conclude", APP, "--winner", "test")
        assert "The split s2 of shop is over: everyone sees test" in out
        assert "is what release 2 is" in out
        assert {browser.get().body for browser in loyal} == {"two -"}
        until(lambda: platform.client.branches(APP)[0].release == 3, 30)
    print(f"\nstart, pause, resume, reshuffle and conclude: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert platform.reloads() == before
    rows = said(platform, "split", "list", APP)
    assert [line.split()[0] for line in rows.splitlines()[1:]] == ["s2", "s1"]
    repository = platform.repository(APP)
    repository.git("fetch", "--quiet", "balancer")
    moved, won = (repository.git("rev-parse", ref).stdout for ref in ("balancer/master", "test"))
    assert moved == won, "the ref of the default branch has moved"
    assert said(platform, "rollback", APP).count("Live") == 1
    assert Browser(platform.port, HOST).get().body == "one -"


def test_where_the_default_branch_has_gone_on_the_commands_to_merge_are_printed_and_work(platform: Running) -> None:
    repository = platform.repository(APP)
    repository.git("fetch", "--quiet", "balancer")
    repository.git("checkout", "--quiet", "-B", "master", "balancer/master")
    repository.commit({**app_files("three"), "notes": "of master alone"}, "master")
    repository.push("master")
    said(platform, "split", "start", APP, "master=50", "test=50")
    out = said(platform, "split", "conclude", APP, "--winner", "test")
    assert Browser(platform.port, HOST).get().body == "two -"
    (merge,) = (line.split() for line in out.splitlines() if "git merge " in line and "--ff-only" not in line)
    assert merge[:2] == ["git", "merge"]
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    repository.git(*identity, "merge", "--quiet", "--strategy-option", "theirs", merge[2])
    repository.push("master")
    assert Browser(platform.port, HOST).get().body == "two -"
    app = platform.client.app(APP)
    assert (app.default_branch, app.promoted) == ("master", None)


def test_a_link_shows_a_branch_to_who_has_it(platform: Running) -> None:
    out = said(platform, "preview", APP, "test")
    (link,) = (line.split()[1] for line in out.splitlines() if line.startswith("test: "))
    assert link.startswith(f"http://{HOST}:{platform.port}/?balancer=p")
    query = link.partition(str(platform.port))[2]
    browser = Browser(platform.port, HOST)
    assert browser.get(query).body == "two test"
    assert browser.get().body == "two test"
    said(platform, "preview", APP, "--rotate")
    assert Browser(platform.port, HOST).get(query).body == "two -", "master is what test was, and nobody was asked"
    assert browser.get().body == "two -"
    unknown = platform.command("preview", APP, "blue")
    assert (unknown.returncode, "no live branch blue" in unknown.stderr) == (3, True)
