"""Bandits with real visitors: weights move to who earns, what fails is taken out, no crash sets weights twice."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from balancer.crashpoints import CrashPoint
from browsing import Browser
from running import Running, running
from waiting import until

# 300 s: about 700 visitors of three requests each, on a machine that does other things.
MOVED_WITHIN_SECONDS = 300
APP = """\
import http.server, os, random

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        fails = self.path != "/healthy" and random.random() < {fails}
        self.send_response(500 if fails else 200)
        if self.path == "/buy":
            self.send_header("Balancer-Event", "purchase")
        body = b"{name}"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
# Of a hundred visitors so many buy.
BUY = {"master": 20, "test": 60, "blue": 20}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says at which point the daemon is to die."""
    return tmp_path_factory.mktemp("chosen") / "point"


@pytest.fixture(scope="module")
def platform(chosen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bandits"), BALANCER_CRASH_AT=str(chosen)) as started:
        yield started


def deploy(platform: Running, app: str, **fails: float) -> None:
    """Make branches live that fail for such a part of their requests."""
    repository = platform.create(app)
    for branch, part in fails.items():
        if branch != "master":
            repository.git("branch", branch)
        files = {
            "app.py": APP.format(name=branch, fails=part),
            "Procfile": "web: python3 app.py\n",
            "balancer.toml": 'health_path = "/healthy"\n',
        }
        repository.commit(files, branch)
        repository.push(branch)


@contextmanager
def visitors(platform: Running, app: str) -> Iterator[list[int]]:
    """Let visitors come one after the other and buy as their branch makes them, as long as the block goes on."""
    came, over, dice = [0], threading.Event(), random.Random(app)

    def come() -> None:
        while not over.is_set():
            browser = Browser(platform.port, f"{app}.localhost")
            browser.get()
            browser.get("/buy" if dice.randrange(100) < BUY.get(browser.variant or "", 0) else "/")
            came[0] += 1

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield came
    finally:
        over.set()
        thread.join(30)


def asked(platform: Running, *words: str) -> Any:
    """Return what a command prints with --json."""
    return platform.json(*words)


def standing(platform: Running, app: str) -> Any:
    return asked(platform, "bandit", "status", app)


def test_weights_move_to_the_branch_that_earns_more(platform: Running) -> None:
    deploy(platform, "earns", master=0, test=0)
    platform.declare("earns", "purchase")
    begun = asked(platform, "bandit", "start", "earns", "test", "--metric", "purchase", "--step-time", "1s")
    assert (begun["state"], begun["control"], begun["branches"]) == ("running", "master", ["test"])
    assert standing(platform, "earns")["weights"] == {"master": 50.0, "test": 50.0}
    with visitors(platform, "earns") as came:
        until(lambda: standing(platform, "earns")["weights"] == {"master": 5.0, "test": 95.0}, MOVED_WITHIN_SECONDS)
    found = standing(platform, "earns")
    print(f"\nmoved after {came[0]} visitors: {found['weights']}")
    decisions = asked(platform, "bandit", "status", "earns", "--decisions")
    last = [each for each in decisions if each["action"]["what"] == "shift"][-1]
    assert last["seen"]["arms"][1]["chance"] > 0.9
    shown = [Browser(platform.port, "earns.localhost").get().body for _ in range(60)]
    assert shown.count("test") > 40
    report = platform.command("stats", "earns").stdout
    assert "A bandit steers it: earning, not knowing." in report
    assert "(earning, not knowing)" in report
    assert "control" in platform.command("bandit", "status", "earns").stdout
    done = asked(platform, "bandit", "promote", "earns", "test")
    assert done["state"] == "done"
    assert done["reason"] == "test was promoted; it is release 3 of master, and `balancer rollback earns` goes back"
    until(lambda: Browser(platform.port, "earns.localhost").get().body == "test", 30)


def test_a_branch_that_fails_is_taken_out_and_the_others_go_on(platform: Running) -> None:
    deploy(platform, "harms", master=0, test=0.5, blue=0)
    platform.declare("harms", "purchase")
    asked(platform, "bandit", "start", "harms", "test", "blue", "--metric", "purchase")
    with visitors(platform, "harms") as came:
        until(lambda: standing(platform, "harms")["weights"]["test"] == 0, MOVED_WITHIN_SECONDS)
    found = standing(platform, "harms")
    print(f"\ntaken out after {came[0]} visitors: {found['bandit']['out']}")
    assert found["bandit"]["state"] == "running"
    assert [each["branch"] for each in found["bandit"]["out"]] == ["test"]
    assert found["weights"] == {"master": 50.01, "test": 0.0, "blue": 49.99}
    until(lambda: {Browser(platform.port, "harms.localhost").get().body for _ in range(20)} == {"master", "blue"}, 30)


def test_a_daemon_killed_after_weights_were_written_has_set_them_once(platform: Running, chosen: Path) -> None:
    deploy(platform, "killed", master=0, test=0)
    platform.declare("killed", "purchase")
    asked(platform, "bandit", "start", "killed", "test", "--metric", "purchase", "--step-time", "1d")
    asked(platform, "split", "set", "killed", "master=90", "test=10")
    chosen.write_text(CrashPoint.BANDIT_MOVED.value)
    assert platform.command("bandit", "resume", "killed").returncode != 0
    platform.wait_until_dead()
    chosen.unlink()
    platform.start()
    until(lambda: standing(platform, "killed")["seen"] is not None, 30)
    found = standing(platform, "killed")
    assert (found["bandit"]["phase"], found["weights"]) == (3, {"master": 50.0, "test": 50.0})
    assert [phase.number for phase in platform.client.split("killed").phases] == [1, 2, 3]
    rules = [each["action"]["rule"] for each in asked(platform, "bandit", "status", "killed", "--decisions")]
    assert rules.count("resumed") == 1
    shown = [Browser(platform.port, "killed.localhost").get().body for _ in range(60)]
    assert shown.count("test") > 15, "the proxy follows at the start"
    assert asked(platform, "bandit", "abort", "killed")["state"] == "aborted"
