"""An A/A split with real processes: nobody notices it, it counts its visitors, and it leaves nothing behind."""

import json
from collections.abc import Iterator

import pytest

from browsing import Browser
from hammering import Hammer
from running import Running, running
from waiting import until

APP, HOST = "shop", "shop.localhost"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("aa")) as started:
        started.create(APP).deploy("one", "master")
        yield started


def said(platform: Running, *words: str) -> str:
    done = platform.command(*words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def heads(platform: Running) -> set[str]:
    listed = platform.repository(APP).git("ls-remote", "--heads", "balancer").stdout.splitlines()
    return {line.split("refs/heads/")[1] for line in listed}


def test_it_begins_counts_and_ends_and_nobody_notices(platform: Running) -> None:
    refused = platform.command("split", "start", APP, "--aa", "--metric", "purchase")
    assert (refused.returncode, platform.client.branches(APP)[0].branch) == (3, "master")
    assert "no event of that name was ever seen" in refused.stderr.replace("\n", " ")
    platform.declare(APP, "purchase")
    with Hammer(platform.port, HOST, kept=2, fresh=2, pause_seconds=0.01).at_work() as tally:
        out = said(platform, "split", "start", APP, "--aa", "--metric", "purchase")
        assert "shop aa: release 2 is what release 1 is" in out
        split = platform.client.split(APP)
        assert (split.phases[0].weights, split.control) == ({"master": 50, "aa": 50}, "master")
        assert "A/A: aa is what master is, and goes when the split ends" in said(platform, "split", "show", APP)
        browsers = [Browser(platform.port, HOST) for _ in range(20)]
        assert {browser.get().body for browser in browsers} == {"one master", "one aa"}
        for browser in browsers:
            browser.get("/buy=5")
        until(lambda: sum(each.visitors for each in platform.client.report(APP).variants) >= 20, 30)
        assert heads(platform) == {"master", "aa"}
        done = platform.command("split", "plan", APP, "--metric", "purchase", "--effect", "10%")
        assert done.returncode == 3, done.stdout
        assert "s1 of shop has 0 visitors of master whose time for purchase is over" in done.stderr.replace("\n", " ")
        said(platform, "split", "cancel", APP)
        assert [branch.branch for branch in platform.client.branches(APP)] == ["master"]
        assert heads(platform) == {"master"}
        assert {browser.get().body for browser in browsers} == {"one -"}
    print(f"\nan A/A split: {tally.describe()}")
    assert tally.failed == 0, tally.describe()


def test_the_next_split_is_planned_by_what_the_control_of_the_last_one_gave(platform: Running) -> None:
    said(platform, "split", "start", APP, "--aa")
    said(platform, "metrics", "set", APP, "quick", "--kind", "converted", "--event", "purchase", "--window", "1s")
    browsers = [Browser(platform.port, HOST) for _ in range(300)]
    for number, browser in enumerate(browsers):
        browser.get("/buy=5" if number % 4 == 0 else "/")
        browser.get()
    control = [number for number, browser in enumerate(browsers) if browser.variant == "master"]
    bought = sum(number % 4 == 0 for number in control)

    def planned() -> str:
        return platform.command("split", "plan", APP, "--metric", "quick", "--effect", "10%", "--json").stdout

    def matches() -> bool:
        found = json.loads(planned())
        return bool(found.get("baseline") == pytest.approx(bought / len(control)))

    until(matches, 30)
    found = json.loads(planned())
    assert (found["baseline_from"], found["is_rate"], found["visitors_a_day"]) == ("s2", True, None)
    out = said(platform, "split", "plan", APP, "--metric", "quick", "--effect", "10%", "--visitors-a-day", "800")
    print(f"\n{out}")
    assert "as the control of s2 had it" in out
    assert "At 800 visitors a day:" in out
    said(platform, "split", "conclude", APP, "--winner", "master")
    assert [branch.branch for branch in platform.client.branches(APP)] == ["master"]
