"""Being told of what happens on a real platform, also by the daemon after the one that was killed."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from balancer.wire.targets import NewTarget
from running import Repository, Running, running
from waiting import until


class Hook(ThreadingHTTPServer):
    """Remembers what it was told; answers 500 where it shall."""

    told: list[dict[str, Any]]
    fails = False


class _Hook(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body))
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
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("platform")) as started:
        yield started


def kinds(hook: Hook) -> list[str]:
    return [told["type"] for told in hook.told]


def test_what_happens_is_told_in_its_order_also_after_the_daemon_was_killed(platform: Running, tmp_path: Path) -> None:
    with hooked() as hook:
        address = f"http://127.0.0.1:{hook.server_address[1]}/"
        platform.client.add_target(NewTarget(address=address))
        shop = platform.create("shop")
        shop.deploy("one")
        until(lambda: kinds(hook) == ["deploy.live"], 10)
        shop.deploy("two", "test")
        platform.split("shop", master=50, test=50)
        until(lambda: kinds(hook) == ["deploy.live", "deploy.live", "split.started"], 10)
        hook.fails = True
        platform.client.cancel_split("shop")
        until(lambda: kinds(hook)[3:] == ["split.ended"], 10)
        broken(shop)
        platform.kill()
        hook.fails = False
        platform.start()
        until(lambda: kinds(hook)[-2:] == ["split.ended", "deploy.failed"], 30)
        assert set(kinds(hook)[3:-1]) == {"split.ended"}
        assert hook.told[-1]["data"]["text"].startswith("shop test: release 3 did not go live: ")
        (target,) = platform.client.targets()
        until(lambda: platform.client.targets()[0].waiting == 0, 10)
        assert target.events == []


def broken(shop: Repository) -> None:
    """Push what does not go live."""
    shop.commit({"Procfile": "release: exit 3\nweb: x\n"}, "test")
    assert shop.push("test", check=False).returncode != 0
