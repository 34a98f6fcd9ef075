"""Rollouts with real visitors: what fails is stopped, what does not goes on, and no crash takes a step twice."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from balancer.crashpoints import CrashPoint
from balancer.wire.event_rows import EventRowBody
from balancer.wire.splits import WeightsBody
from browsing import Browser
from running import BALANCER, Running, app_files, running
from terminals import on_a_terminal
from waiting import until

# 60 s, as long as a fault may go on at 200 requests a second; where nothing else is said the traffic is lighter.
STOPPED_WITHIN_SECONDS = 60
REQUESTS_A_SECOND = 200
# Eight clients of 25 requests a second: one that waits for an answer of 40 ms keeps its pace.
CLIENTS = 8
# A machine that does other things may send fewer a second; it is the requests that count.
PATIENCE_SECONDS = 300
# Far above what a sound answer takes here, also on a machine that does other things.
OBJECTIVE = 'slow_after = "200ms"\n'
MANIFEST = 'health_path = "/healthy"\n'
LATENCY = """
[metrics.latency]
kind = "mean"
event = "$exposure"
better = "lower"
guardrail = true
window = "1h"
"""


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says at which point the daemon is to die."""
    return tmp_path_factory.mktemp("chosen") / "point"


@pytest.fixture(scope="module")
def platform(chosen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rollouts"), BALANCER_CRASH_AT=str(chosen)) as started:
        yield started


def tree(version: str, failing: str = "False", manifest: str = "") -> dict[str, str]:
    """Return the tree of an app whose pages answer 500 where `failing` is true, but for its health."""
    files = app_files(version)
    condition = f'"/fail" or (self.path != "/healthy" and ({failing}))'
    files["app.py"] = "import random, time\nCALLS = []\n" + files["app.py"].replace(
        'self.path == "/fail"', f"self.path == {condition}"
    )
    return {**files, "balancer.toml": MANIFEST + manifest}


def deploy(platform: Running, app: str, failing: str = "False", manifest: str = "", *, control: str = "False") -> None:
    """Make master live, and a test that fails so; `control` is how master does."""
    repository = platform.create(app)
    repository.commit(tree("master", control, manifest))
    repository.push("master")
    repository.git("branch", "test")
    repository.commit(tree("test", failing, manifest), "test")
    repository.push("test")


def standing(platform: Running, app: str) -> dict[str, Any]:
    found = platform.client.rollout(app)
    return found.model_dump(mode="json")


def state(platform: Running, app: str) -> str:
    return str(standing(platform, app)["rollout"]["state"])


@contextmanager
def visitors(platform: Running, app: str, *, pages: int = 4) -> Iterator[list[int]]:
    """Let visitors come one after the other, each to see some pages, as long as the block goes on; give their count."""
    came, over = [0], threading.Event()

    def come() -> None:
        while not over.is_set():
            browser = Browser(platform.port, f"{app}.localhost")
            for _ in range(pages):
                browser.get()
            came[0] += 1

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield came
    finally:
        over.set()
        thread.join(30)


@contextmanager
def traffic(platform: Running, app: str, *, pages: int = 4) -> Iterator[Callable[[], tuple[int, float]]]:
    """Let visitors ask 200 times a second, each for some pages; give how many came so far, and a second."""
    came, over, began = [0] * CLIENTS, threading.Event(), time.monotonic()

    def come(client: int) -> None:
        due, pause = began + client / REQUESTS_A_SECOND, CLIENTS / REQUESTS_A_SECOND
        browser = Browser(platform.port, f"{app}.localhost")
        while not over.wait(max(0.0, due - time.monotonic())):
            if came[client] % pages == 0:
                browser = Browser(platform.port, f"{app}.localhost")
            browser.get()
            came[client] += 1
            due += pause

    def so_far() -> tuple[int, float]:
        return sum(came), sum(came) / (time.monotonic() - began)

    threads = [threading.Thread(target=come, args=[client]) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield so_far
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def bought(platform: Running, app: str) -> list[EventRowBody]:
    """Return the purchases of an app."""
    return list(platform.client.events(app, event="purchase", lines=1000, follow=False))


def healthy(platform: Running, app: str, branch: str) -> int:
    """Return how many instances of a branch are healthy."""
    instances = platform.client.instances(app)
    return sum(each.running and each.state == "healthy" for each in instances if each.branch == branch)


def has_crashed(platform: Running, app: str, times: int) -> bool:
    """Tell whether the rollout has seen so many crashes of its branch."""
    return bool(standing(platform, app)["seen"]["crashes"] == times)


def browser_of(platform: Running, app: str, variant: str) -> Browser:
    """Return a visitor who was assigned to a variant, and has come back."""
    while True:
        browser = Browser(platform.port, f"{app}.localhost")
        browser.get()
        if browser.variant == variant:
            browser.get()
            return browser


def shown(platform: Running, app: str, count: int = 30) -> set[str]:
    """Return which branches new visitors see."""
    return {Browser(platform.port, f"{app}.localhost").get().body.split()[0] for _ in range(count)}


def test_a_canary_that_fails_for_one_request_in_twenty_is_stopped(platform: Running) -> None:
    deploy(platform, "faulty", "random.random() < 0.05")
    platform.json("rollout", "start", "faulty", "test", "--steps", "20,50,100", "--step-time", "1m")
    early = browser_of(platform, "faulty", "test")
    with traffic(platform, "faulty") as so_far:
        until(lambda: state(platform, "faulty") == "rolled back", PATIENCE_SECONDS)
        requests, a_second = so_far()
    found = standing(platform, "faulty")["rollout"]
    print(f"\nstopped after {requests:,} requests, {a_second:.0f} a second: {found['reason']}")
    assert requests <= REQUESTS_A_SECOND * STOPPED_WITHIN_SECONDS, f"{requests:,} requests"
    assert found["reason"].startswith("errors: ")
    until(lambda: shown(platform, "faulty") == {"master"}, 30)
    assert early.get().body.startswith("master"), "who had the branch sees the control"
    weights = platform.client.split("faulty").phases[-1].weights
    assert {branch: int(share) for branch, share in weights.items()} == {"master": 100, "test": 0}
    (moved,) = (entry for entry in platform.log() if entry["message"] == "rollout.rolled.back")
    assert (moved["app"], moved["rule"]) == ("faulty", "guardrail")


def test_a_canary_whose_landing_page_always_fails_is_stopped_though_no_cookie_comes_back(platform: Running) -> None:
    deploy(platform, "broken", "True")
    platform.json("rollout", "start", "broken", "test", "--steps", "50,100")
    began = time.monotonic()
    with visitors(platform, "broken", pages=1):
        until(lambda: state(platform, "broken") == "rolled back", PATIENCE_SECONDS)
    print(f"\nstopped after {time.monotonic() - began:.1f} s")
    assert [each.action.rule for each in platform.client.rollout_decisions("broken")][-1] == "hard stop"
    until(lambda: shown(platform, "broken") == {"master"}, 30)


def test_a_landing_page_that_begins_to_fail_after_its_first_answers_is_found_though_no_cookie_comes_back(
    platform: Running,
) -> None:
    deploy(platform, "late", "CALLS.append(1) or len(CALLS) > 25")
    platform.json("rollout", "start", "late", "test", "--steps", "50,100")
    began = time.monotonic()
    with visitors(platform, "late", pages=1) as came:
        until(lambda: state(platform, "late") == "rolled back", PATIENCE_SECONDS)
    found = standing(platform, "late")
    print(f"\nstopped after {time.monotonic() - began:.1f} s and {came[0]} visitors: {found['rollout']['reason']}")
    assert [each.action.rule for each in platform.client.rollout_decisions("late")][-1] == "guardrail"
    assert found["rollout"]["reason"].startswith("errors: ")
    assert found["seen"]["visitors"] == 0, "nobody was ever exposed"


def test_a_canary_without_a_fault_takes_its_steps_and_becomes_the_default_branchs_release(platform: Running) -> None:
    deploy(platform, "fine")
    test = platform.repository("fine").git("rev-parse", "test").stdout.strip()
    platform.json("rollout", "start", "fine", "test", "--steps", "50,60,100", "--step-time", "1s", "--auto-promote")
    with visitors(platform, "fine", pages=2) as came:
        until(lambda: standing(platform, "fine")["rollout"]["step"] == 2, 120)
        until(lambda: state(platform, "fine") == "done", 120)
    print(f"\ndone after {came[0]} visitors")
    rules = [each.action.rule for each in platform.client.rollout_decisions("fine")]
    assert rules.count("step passed") == 1
    assert rules[-1] == "fit for everybody"
    assert shown(platform, "fine") == {"test"}
    live = {r.branch: r.commit for r in platform.client.releases("fine") if r.state == "live"}
    assert live["master"] == test


def test_a_daemon_killed_after_a_step_was_written_has_taken_it_once(platform: Running, chosen: Path) -> None:
    deploy(platform, "killed")
    platform.json("rollout", "start", "killed", "test", "--steps", "1,99", "--step-time", "1d")
    chosen.write_text(CrashPoint.ROLLOUT_MOVED.value)
    assert platform.command("rollout", "advance", "killed").returncode != 0
    platform.wait_until_dead()
    chosen.unlink()
    platform.start()
    until(lambda: standing(platform, "killed")["seen"] is not None, 30)
    assert standing(platform, "killed")["rollout"]["step"] == 2
    assert [phase.number for phase in platform.client.split("killed").phases] == [1, 2]
    assert [each.action.rule for each in platform.client.rollout_decisions("killed")].count("advanced") == 1
    assert "test" in shown(platform, "killed"), "the proxy follows at the start"


def test_a_daemon_killed_after_a_promotion_was_written_finishes_it(platform: Running, chosen: Path) -> None:
    test = platform.repository("killed").git("rev-parse", "test").stdout.strip()
    chosen.write_text(CrashPoint.ROLLOUT_MOVED.value)
    assert platform.command("rollout", "promote", "killed").returncode != 0
    platform.wait_until_dead()
    chosen.unlink()
    assert shown(platform, "killed") <= {"master", "test"}, "HAProxy serves on"
    platform.start()
    until(lambda: state(platform, "killed") == "done", 30)
    live = {r.branch: r.commit for r in platform.client.releases("killed") if r.state == "live"}
    assert live["master"] == test
    assert shown(platform, "killed") == {"test"}
    assert [each.action.rule for each in platform.client.rollout_decisions("killed")].count("promoted") == 1


def test_a_canary_that_answers_slowly_is_stopped_by_the_metric_that_says_so(platform: Running) -> None:
    deploy(platform, "slow", "time.sleep(0.05)", manifest=LATENCY)
    platform.json("rollout", "start", "slow", "test", "--steps", "50,100", "--step-time", "1h")
    began = time.monotonic()
    with visitors(platform, "slow", pages=2) as came:
        until(lambda: state(platform, "slow") == "rolled back", PATIENCE_SECONDS)
    reason = standing(platform, "slow")["rollout"]["reason"]
    print(f"\nstopped after {time.monotonic() - began:.1f} s and {came[0]} visitors: {reason}")
    assert reason.startswith("latency: +")


def test_a_canary_that_exceeds_the_latency_objective_is_stopped(platform: Running) -> None:
    deploy(platform, "late-answers", "time.sleep(0.3)", OBJECTIVE)
    platform.json("rollout", "start", "late-answers", "test", "--steps", "50,100")
    began = time.monotonic()
    with visitors(platform, "late-answers", pages=1) as came, visitors(platform, "late-answers", pages=1):
        until(lambda: state(platform, "late-answers") == "rolled back", PATIENCE_SECONDS)
    reason = standing(platform, "late-answers")["rollout"]["reason"]
    print(f"\nstopped after {time.monotonic() - began:.1f} s and {came[0]} visitors: {reason}")
    assert reason.startswith("latency: ")


def test_what_befalls_both_arms_alike_stops_nothing_and_without_visitors_it_waits(platform: Running) -> None:
    # Every third, and not by chance: of a hundred canaries that do so by chance, some fail five times in a row.
    fault = "CALLS.append(1) or len(CALLS) % 3 == 0 or time.sleep(0.3)"
    deploy(platform, "both", fault, OBJECTIVE, control=fault)
    platform.json("rollout", "start", "both", "test", "--steps", "50,100", "--step-time", "1s")
    until(lambda: (standing(platform, "both")["action"] or {}).get("rule") == "not enough data", 30)

    def befell(name: str) -> int:
        """Return how many visitors a guardrail has counted."""
        seen = standing(platform, "both")["seen"]
        figures = [guard["figures"] for guard in seen["guards"] if guard["name"] == name]
        return sum(int(word) for text in figures for word in text.split() if word.isdigit())

    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(visitors(platform, "both", pages=1))
        until(lambda: befell("errors") >= 20 and befell("latency") >= 40, PATIENCE_SECONDS)
    found = standing(platform, "both")
    print(f"\n{[guard['figures'] for guard in found['seen']['guards']]}")
    assert (found["rollout"]["state"], found["action"]["rule"]) == ("running", "not enough data")


def test_a_canary_whose_instances_crash_in_turn_is_stopped_though_one_of_them_is_always_healthy(
    platform: Running,
) -> None:
    deploy(platform, "crashing", manifest="instances = 2\n")
    platform.json("rollout", "start", "crashing", "test", "--steps", "50,100")
    until(lambda: standing(platform, "crashing")["seen"] is not None, 30)
    branch = Browser(platform.port, "test--crashing.localhost")
    for crashes in range(1, 4):
        until(lambda: healthy(platform, "crashing", "test") == 2, 30)
        branch.get("/die")
        until(partial(has_crashed, platform, "crashing", crashes), 30)
    until(lambda: state(platform, "crashing") == "rolled back", 30)
    assert [each.action.rule for each in platform.client.rollout_decisions("crashing")][-1] == "crash loop"


def test_who_had_a_canary_that_was_rolled_back_is_no_alarm_of_the_sample_ratio(platform: Running) -> None:
    deploy(platform, "sound")
    platform.json("rollout", "start", "sound", "test", "--steps", "50,100")
    early = [Browser(platform.port, "sound.localhost") for _ in range(120)]
    for browser in early:
        browser.get()
        browser.get()
    before = {browser.variant for browser in early}
    assert before == {"master", "test"}
    until(lambda: sum(each.visitors for each in platform.client.report("sound").variants) == len(early), 30)
    weights = {"master": Decimal(100), "test": Decimal(0)}
    platform.client.set_weights("sound", WeightsBody(weights=weights))  # as a rollback does
    for browser in early:
        assert browser.get("/buy=1").body.startswith("master"), "who had the branch sees the control"
    until(lambda: len(bought(platform, "sound")) == len(early), 30)
    report = platform.client.report("sound")
    assert not report.sample_ratio.alarm, report.sample_ratio
    assert report.multiple == 0
    assert {browser.variant for browser in early} == before, "by assignment nobody has moved"
    served = {(row.variant, row.stood_in) for row in bought(platform, "sound")}
    assert served == {("master", False), ("test", True)}, "the ledger knows who was served by another branch"


def test_who_watches_one_on_a_terminal_sees_it_go_on_though_the_daemon_is_killed_meanwhile(platform: Running) -> None:
    deploy(platform, "watched")
    platform.json("rollout", "start", "watched", "test", "--steps", "1,50,100", "--step-time", "1d")
    command = [str(BALANCER), "rollout", "status", "watched", "--watch"]
    with on_a_terminal(command, platform.environment()) as terminal:
        until(lambda: "[1 %] → 50 % → 100 %" in terminal.shown, 30)
        platform.kill()
        until(lambda: "No daemon answers just now: so it stood" in terminal.shown, 30)
        platform.start()
        platform.json("rollout", "advance", "watched")
        until(lambda: "1 % → [50 %] → 100 %" in terminal.shown, 30)
        platform.json("rollout", "abort", "watched")
        assert terminal.process.wait(60) == 1, "for scripts: it did not come to its end"
        until(lambda: "an operator has ended it" in terminal.shown, 30)
