"""Being told of what happens on a real platform, also by the daemon after the one that was killed."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from balancer.crashpoints import CrashPoint
from balancer.domain.plan import CRASH_LOOP_ENDS
from balancer.wire.targets import NewTarget
from browsing import Browser
from running import Repository, Running, app_files, running
from waiting import until


class Hook(ThreadingHTTPServer):
    """Remembers what it was told; answers 500 where it shall."""

    told: list[dict[str, Any]]
    fails = False


class _Hook(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body) | {"id": self.headers["webhook-id"]})
        self.send_response(500 if self.server.fails else 204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def hooked() -> Iterator[Hook]:
    with Hook(("127.0.0.1", 0), _Hook) as hook:
        hook.told = []
        thread = threading.Thread(target=hook.serve_forever, daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            hook.shutdown()
            thread.join(10)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says at which point the daemon is to die."""
    return tmp_path_factory.mktemp("chosen") / "point"


@pytest.fixture(scope="module")
def platform(chosen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("platform"), BALANCER_CRASH_AT=str(chosen)) as started:
        yield started


def once(hook: Hook) -> list[dict[str, Any]]:
    """Return what the hook was told, each notice once: one whose answer is late, or lost, is sent again."""
    return list({told["id"]: told for told in reversed(hook.told)}.values())[::-1]


def kinds(hook: Hook) -> list[str]:
    return [told["type"] for told in once(hook)]


def told_of(hook: Hook, app: str, kind: str) -> list[str]:
    """Return the texts of the notices of a kind that were sent of an app, each once."""
    notices = [told for told in once(hook) if told["type"] == kind and told["data"]["app"] == app]
    return [told["data"]["text"] for told in notices]


@contextlib.contextmanager
def told(platform: Running) -> Iterator[Hook]:
    """Let a hook be told of everything."""
    with hooked() as hook:
        target = platform.client.add_target(NewTarget(address=f"http://127.0.0.1:{hook.server_address[1]}/"))
        try:
            yield hook
        finally:
            platform.client.remove_target(target.id)


@contextlib.contextmanager
def dying_at(platform: Running, chosen: Path, point: CrashPoint) -> Iterator[None]:
    """Let the daemon die at a point, and start it again."""
    chosen.write_text(point.value)
    try:
        yield
        platform.wait_until_dead()
    finally:
        chosen.unlink()
    platform.start()


def test_what_happens_is_told_in_its_order_also_after_the_daemon_was_killed(platform: Running, tmp_path: Path) -> None:
    with hooked() as hook:
        address = f"http://127.0.0.1:{hook.server_address[1]}/"
        platform.client.add_target(NewTarget(address=address))
        shop = platform.create("shop")
        shop.deploy("one")
        until(lambda: kinds(hook) == ["deploy.live"], 30)
        shop.deploy("two", "test")
        platform.split("shop", master=50, test=50)
        until(lambda: kinds(hook) == ["deploy.live", "deploy.live", "split.started"], 30)
        hook.fails = True
        platform.client.cancel_split("shop")
        until(lambda: kinds(hook)[3:] == ["split.ended"], 30)
        broken(shop)
        platform.kill()
        hook.fails = False
        platform.start()
        until(lambda: kinds(hook)[-2:] == ["split.ended", "deploy.failed"], 30)
        assert kinds(hook)[3:] == ["split.ended", "deploy.failed"]
        assert once(hook)[-1]["data"]["text"].startswith("shop test: release 3 did not go live: ")
        (target,) = platform.client.targets()
        until(lambda: platform.client.targets()[0].waiting == 0, 30)
        assert target.events == []
        platform.client.remove_target(target.id)


def broken(shop: Repository) -> None:
    """Push what does not go live."""
    shop.commit({"Procfile": "release: exit 3\nweb: x\n"}, "test")
    assert shop.push("test", check=False).returncode != 0


def test_that_a_release_is_live_is_told_once_though_the_daemon_died_as_it_was_decided(
    platform: Running, chosen: Path
) -> None:
    repository = platform.create("deployed")
    with told(platform) as hook:
        with dying_at(platform, chosen, CrashPoint.ACTIVATED):
            repository.commit(app_files("one"))
            repository.push("master", check=False)
        until(lambda: told_of(hook, "deployed", "deploy.live") != [], 30)
        until(lambda: platform.client.targets()[0].waiting == 0, 30)
        (text,) = told_of(hook, "deployed", "deploy.live")
        assert text.startswith("deployed master: release 1 is live (")


def test_that_a_deploy_was_broken_off_by_the_death_of_the_daemon_is_told_once(platform: Running, chosen: Path) -> None:
    repository = platform.create("unfinished")
    with told(platform) as hook:
        with dying_at(platform, chosen, CrashPoint.BUILT):
            repository.commit(app_files("one"))
            repository.push("master", check=False)
        until(lambda: told_of(hook, "unfinished", "deploy.failed") != [], 30)
        (text,) = told_of(hook, "unfinished", "deploy.failed")
        assert text.endswith("the platform was stopped while it deployed this release")


def test_a_rollback_and_the_end_of_a_promotion_are_told_once_though_the_daemon_died_as_they_were_decided(
    platform: Running, chosen: Path
) -> None:
    shop = platform.create("ramped")
    shop.deploy("one")
    files = app_files("two")
    files["app.py"] = files["app.py"].replace('self.path == "/fail"', 'self.path in ("/fail", "/")')
    files["balancer.toml"] = 'health_path = "/healthy"\n'
    shop.git("branch", "test")
    shop.commit(files, "test")
    shop.push("test")
    with told(platform) as hook:
        platform.json("rollout", "start", "ramped", "test", "--steps", "50,100", "--step-time", "1d")
        with dying_at(platform, chosen, CrashPoint.ROLLOUT_MOVED):
            for _ in range(40):
                Browser(platform.port, "ramped.localhost").get()
        until(lambda: told_of(hook, "ramped", "rollout.rolled_back") != [], 30)
        shop.deploy("three", "test")
        platform.json("rollout", "start", "ramped", "test", "--steps", "50,100", "--step-time", "1d")
        with dying_at(platform, chosen, CrashPoint.ROLLOUT_ENDED):
            assert platform.command("rollout", "promote", "ramped").returncode != 0
        until(lambda: told_of(hook, "ramped", "rollout.ended") != [], 30)
        until(lambda: platform.client.targets()[0].waiting == 0, 30)
        (rolled_back,) = told_of(hook, "ramped", "rollout.rolled_back")
        (ended,) = told_of(hook, "ramped", "rollout.ended")
    assert rolled_back.startswith("ramped: the rollout of test (release 2, ")
    assert ended.startswith("ramped: the rollout of test is done: an operator has promoted it; it is release ")


def test_a_crash_loop_that_the_daemon_has_seen_and_not_told_of_is_told_by_the_next_one(
    platform: Running, chosen: Path, tmp_path: Path
) -> None:
    repository, is_live = platform.create("looping"), tmp_path / "is-live"
    with told(platform) as hook:
        with dying_at(platform, chosen, CrashPoint.CRASH_LOOP_SEEN):
            files = app_files("one")
            # It lives until it is live, and not a moment longer from then on.
            files["Procfile"] += f"worker: while [ ! -e {is_live} ]; do sleep 0.1; done; exit 3\n"
            repository.commit(files)
            repository.push("master")
            is_live.touch()
            platform.wait_until_dead(90)
            assert told_of(hook, "looping", "crash_loop") == []
        until(lambda: told_of(hook, "looping", "crash_loop") != [], 90)
        (text,) = told_of(hook, "looping", "crash_loop")
    assert f"has ended {CRASH_LOOP_ENDS} times in a row" in text
