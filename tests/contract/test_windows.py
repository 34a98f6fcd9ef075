"""After a switch, files that the new release does not have come from the one before."""

import hashlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio.to_thread
import pytest

from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.routing import WINDOWS, RouteTable, route_table, windows_of
from balancer.domain.snapshot import Snapshot
from browsing import Answer, Browser
from contract.proxies import Proxy, haproxy
from values import LOCALHOST, app, instance, release, split

pytestmark = pytest.mark.anyio
BIG = b"x" * 3_000_000
OLD_FILES = {"/app.1a2b.js": b"old", "/big.css": BIG, "/page": b"old page", "/both.js": b"old"}
NEW_FILES = {"/app.9f8e.js": b"new", "/both.js": b"new"}
COOKIE = "00000000-0000-0000-0000-000000000005.s1.master.1.1.1700000000000"


class Files:
    """An instance that has some files and counts what it is asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536

            def do_GET(self) -> None:
                asked.append(f"{self.command} {self.path}")
                if length := int(self.headers.get("Content-Length", 0)):
                    self.rfile.read(length)
                body = files.get(self.path.partition("?")[0])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body or b"")

            do_POST = do_HEAD = do_GET  # noqa: N815 - the base class names them so

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    @contextmanager
    def serving(self) -> Iterator["Files"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)


@pytest.fixture
def instances() -> Iterator[dict[str, Files]]:
    with ExitStack() as stack:
        names = {"old": OLD_FILES, "new": NEW_FILES, "second": NEW_FILES}
        yield {name: stack.enter_context(Files(files).serving()) for name, files in names.items()}


def table(instances: Mapping[str, Files], *, manifest: Manifest | None = None, number: int = 2) -> RouteTable:
    """Return what follows from a release that was just switched to, with two instances, and the one before."""
    wanted = manifest or Manifest(source=Source.PROCFILE, processes={WEB: "serve"})
    before, live = release(1, state=ReleaseState.DRAINING), release(number, manifest=wanted)
    of = (
        instance(11, before, InstanceState.STANDBY, port=instances["old"].port),
        instance(12, live, port=instances["new"].port),
        instance(13, live, port=instances["second"].port),
    )
    running = split({"master": 10_000, "test": 0})
    return route_table(Snapshot(apps=(app(),), releases=(before, live), instances=of, splits=(running,)), LOCALHOST)


@pytest.fixture
async def proxy(tmp_path: Path, instances: dict[str, Files]) -> AsyncIterator[Proxy]:
    async with haproxy(tmp_path, table(instances)) as started:
        yield started


async def ask(proxy: Proxy, path: str, method: str = "GET", cookie: str | None = COOKIE) -> Answer:
    browser = Browser(proxy.port, "shop.localhost", cookie)
    return await anyio.to_thread.run_sync(browser.request, method, path, b"x" if method == "POST" else None)


@pytest.mark.parametrize("cookie", [None, COOKIE])
async def test_a_file_that_only_the_release_before_has_comes_from_there(proxy: Proxy, cookie: str | None) -> None:
    for path, expected in (("/app.1a2b.js", "old"), ("/app.1a2b.js?v=1", "old"), ("/both.js", "new")):
        answer = await ask(proxy, path, cookie=cookie)
        assert (answer.status, answer.body) == (200, expected)
    assert (await ask(proxy, "/app.1a2b.js", "HEAD", cookie)).status == 200


async def test_it_comes_whole_however_large_it_is(proxy: Proxy) -> None:
    body = (await ask(proxy, "/big.css")).body.encode()
    assert hashlib.sha256(body).digest() == hashlib.sha256(BIG).digest()


async def test_the_new_release_is_asked_first_by_turns_and_the_old_one_once(
    proxy: Proxy, instances: dict[str, Files]
) -> None:
    for _ in range(40):
        assert (await ask(proxy, "/none.js")).status == 404
    new, second, old = (instances[name].asked for name in ("new", "second", "old"))
    assert (len(old), len(new) + len(second)) == (40, 40)
    assert min(len(new), len(second)) >= 5


async def test_neither_pages_nor_what_changes_something_is_asked_of_the_release_before(
    proxy: Proxy, instances: dict[str, Files]
) -> None:
    assert (await ask(proxy, "/page")).status == 404
    assert (await ask(proxy, "/app.1a2b.js", "POST")).status == 404
    assert instances["old"].asked == []


async def test_a_branch_on_its_own_host_has_it_too(proxy: Proxy) -> None:
    browser = Browser(proxy.port, "master--shop.localhost")
    assert (await anyio.to_thread.run_sync(browser.get, "/app.1a2b.js")).body == "old"


async def test_where_nothing_stands_by_or_the_app_does_not_want_it_404_stays_404(
    proxy: Proxy, instances: dict[str, Files]
) -> None:
    worker = (await proxy.haproxy.worker()).pid
    off = Manifest(source=Source.PROCFILE, processes={WEB: "serve"}, previous_assets=False)
    await proxy.haproxy.apply(table(instances, manifest=off))
    assert (await ask(proxy, "/app.1a2b.js")).status == 404
    await proxy.haproxy.apply(table(instances))
    assert (await ask(proxy, "/app.1a2b.js")).status == 200
    assert (await proxy.haproxy.worker()).pid == worker, "no reload"


def test_of_two_that_want_the_same_spare_backend_the_newer_has_it(instances: dict[str, Files]) -> None:
    older, newer = table(instances), table(instances, number=2 + WINDOWS)
    (window,) = windows_of(RouteTable(apps=(*newer.apps, *older.apps))).values()
    assert window.release_id == 2 + WINDOWS
