"""What lasts longer than a deploy goes on across it, and over reloads: nothing is cut, lost or sent twice."""

import http.client
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from running import Running, running
from waiting import until

MEGABYTE = 1 << 20
UPLOAD_BYTES, DOWNLOAD_BYTES, BEGUN_BYTES = 2048 * MEGABYTE, 1024 * MEGABYTE, 32 * MEGABYTE
# 300 s for what takes 15: the deadline is no claim.
DRAIN_SECONDS, DEADLINE_SECONDS = 4, 300
DEPLOYS, SENDERS = 10, 4
CHUNK = bytes(range(256)) * (MEGABYTE // 256)

# It answers with its version, echoes websockets and tells events until it is ended, and takes and gives what is big.
APP = """
import base64, hashlib, os, threading, time, zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = bytes(range(256)) * 4096

class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        if self.path == "/socket":
            self.echo()
        elif self.path == "/events":
            self.tell()
        elif self.path.startswith("/download/"):
            chunks = int(self.path.rpartition("/")[2])
            self.begin(200, ("Content-Length", str(chunks * len(CHUNK))), ("Version", VERSION))
            for _ in range(chunks):
                self.wfile.write(CHUNK)
        else:
            self.answer(VERSION)

    def do_POST(self):
        left, crc = int(self.headers["Content-Length"]), 0
        if self.path.startswith("/count/"):
            with open(COUNTS, "ab", buffering=0) as counts:
                counts.write(self.path.rpartition("/")[2].encode() + b"\\n")
        length = left
        while left:
            chunk = self.rfile.read(min(left, len(CHUNK)))
            if not chunk:
                return
            left, crc = left - len(chunk), zlib.crc32(chunk, crc)
        self.answer(f"{VERSION} {length} {crc}")

    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.begin(101, ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", accept))
        while head := self.rfile.read(6):  # one byte of flags, one of length, four of mask
            text = bytes(byte ^ head[2 + at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 127)))
            text = VERSION.encode() + b" " + text
            self.wfile.write(bytes([0x81, len(text)]) + text)
            self.wfile.flush()

    def tell(self):
        self.begin(200, ("Content-Type", "text/event-stream"), ("Connection", "close"))
        while True:
            self.wfile.write(f"data: {VERSION}\\n\\n".encode())
            self.wfile.flush()
            time.sleep(0.05)

    def answer(self, text):
        self.begin(200, ("Content-Length", str(len(text))))
        self.wfile.write(text.encode())

    def begin(self, status, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *arguments):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

Server(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("long"), BALANCER_STANDBY_SECONDS="300") as started:
        yield started


def deploy(platform: Running, app: str, version: str, *, drain_seconds: int = 600, branch: str = "master") -> None:
    """Push another version of an app, and return when it is live."""
    repository = platform.repository(app)
    counts = repr(str(counts_of(platform)))
    manifest = f'web = "exec python3 app.py"\ndrain_timeout_seconds = {drain_seconds}\n'
    files = {"balancer.toml": manifest, "app.py": f"VERSION = {version!r}\nCOUNTS = {counts}\n{APP}"}
    repository.commit(files, branch)
    repository.push(branch)


def counts_of(platform: Running) -> Path:
    return platform.directory / "counts"


def page(platform: Running, app: str) -> str:
    return Browser(platform.port, f"{app}.localhost").get("/").body


class Websocket:
    """A client that speaks just enough of RFC 6455: short texts, a frame each."""

    def __init__(self, port: int, host: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        self._socket.sendall(f"GET /socket HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        assert b"101" in self._file.readline()
        while self._file.readline() != b"\r\n":
            pass

    def ask(self, text: str) -> str:
        """Send a text and return what comes back; nothing where the connection was cut."""
        try:
            self._socket.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode())
            head = self._file.read(2)
            return self._file.read(head[1]).decode() if head else ""
        except ConnectionError:
            return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Events:
    """A client of an event stream."""

    def __init__(self, port: int, host: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")

    def next(self) -> str:
        """Return the data of the next event; nothing where the connection was cut."""
        try:
            while line := self._file.readline():
                if line.startswith(b"data: "):
                    return line.decode().removeprefix("data: ").strip()
        except ConnectionError:
            pass
        return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_a_websocket_and_an_event_stream_live_on_across_deploys_and_reloads_until_the_drain_timeout(
    platform: Running,
) -> None:
    platform.create("chat")
    deploy(platform, "chat", "one", drain_seconds=DRAIN_SECONDS)
    websocket = Websocket(platform.port, "chat.localhost")
    events = Events(platform.port, "chat.localhost")
    deploy(platform, "chat", "two", drain_seconds=DRAIN_SECONDS)
    assert page(platform, "chat") == "two"
    assert (websocket.ask("deployed"), events.next()) == ("one deployed", "one")

    platform.create("other")
    deploy(platform, "other", "other")  # its backend is new: HAProxy is reloaded
    assert page(platform, "other") == "other"
    assert (websocket.ask("reloaded"), events.next()) == ("one reloaded", "one")

    began = time.monotonic()
    deploy(platform, "chat", "three", drain_seconds=DRAIN_SECONDS)  # nothing stands by for longer than that
    assert page(platform, "chat") == "three"
    until(lambda: states(platform, "chat").get("draining"), DEADLINE_SECONDS)
    lives = 0
    while websocket.ask("drained") == "one drained" and events.next() == "one":
        lives += 1
    seconds = time.monotonic() - began
    while events.next():
        pass
    websocket.close()
    events.close()
    print(f"\ncut {seconds:.1f} s after the push, of a drain timeout of {DRAIN_SECONDS} s; {lives} messages meanwhile")
    assert lives > 0
    assert DRAIN_SECONDS <= seconds < DEADLINE_SECONDS


def states(platform: Running, app: str) -> Counter[str]:
    return Counter(instance.state for instance in platform.client.instances(app))


def test_big_uploads_and_downloads_across_a_deploy_arrive_whole(platform: Running) -> None:
    platform.create("files")
    deploy(platform, "files", "one")
    begun, deployed = threading.Barrier(3), threading.Event()
    found: dict[str, str] = {}

    def upload() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=DEADLINE_SECONDS)
        connection.putrequest("POST", "/upload", skip_host=True)
        connection.putheader("Host", "files.localhost")
        connection.putheader("Content-Length", str(UPLOAD_BYTES))
        connection.endheaders()
        crc = 0
        for at in range(0, UPLOAD_BYTES, MEGABYTE):
            if at == BEGUN_BYTES:
                begun.wait(DEADLINE_SECONDS)
                deployed.wait(DEADLINE_SECONDS)
            connection.send(CHUNK)
            crc = zlib.crc32(CHUNK, crc)
        answer = connection.getresponse().read().decode()
        connection.close()
        found["upload"] = "whole" if answer == f"one {UPLOAD_BYTES} {crc}" else answer

    def download() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=DEADLINE_SECONDS)
        connection.request("GET", f"/download/{DOWNLOAD_BYTES // MEGABYTE}", headers={"Host": "files.localhost"})
        answer = connection.getresponse()
        length, same = 0, True
        while chunk := answer.read(MEGABYTE):
            length, same = length + len(chunk), same and chunk == CHUNK
            if length == BEGUN_BYTES:
                begun.wait(DEADLINE_SECONDS)
                deployed.wait(DEADLINE_SECONDS)
        connection.close()
        whole = same and length == DOWNLOAD_BYTES and answer.headers["Version"] == "one"
        found["download"] = "whole" if whole else f"{length} bytes of {answer.headers['Version']}, same: {same}"

    threads = [threading.Thread(target=work, daemon=True) for work in (upload, download)]
    for thread in threads:
        thread.start()
    begun.wait(DEADLINE_SECONDS)
    deploy(platform, "files", "two")
    deploy(platform, "files", "three")  # what the first one serves stands by no longer, and drains
    assert page(platform, "files") == "three"
    until(lambda: states(platform, "files")["draining"], DEADLINE_SECONDS)
    began = time.monotonic()
    deployed.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    seconds = time.monotonic() - began
    total = (UPLOAD_BYTES + DOWNLOAD_BYTES) // MEGABYTE
    print(f"\n{total} MB up and down in {seconds:.1f} s: {total / seconds:.0f} MB/s")
    assert found == {"upload": "whole", "download": "whole"}


def test_over_ten_deploys_no_post_is_lost_and_none_is_sent_twice(platform: Running) -> None:
    platform.create("orders")
    deploy(platform, "orders", "0")
    sent: list[str] = []
    failed: list[str] = []
    ended = threading.Event()

    def send(sender: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=DEADLINE_SECONDS)
        number = 0
        while not ended.is_set():
            number += 1
            order = f"{sender}-{number}"
            try:
                connection.request("POST", f"/count/{order}", body=b"order", headers={"Host": "orders.localhost"})
                answer = connection.getresponse()
                answer.read()
                (sent if answer.status == 200 else failed).append(order)
            except (OSError, http.client.HTTPException) as reason:
                failed.append(f"{order}: {reason!r}")
                connection.close()
            if sender % 2:  # half of them open a connection each time
                connection.close()
        connection.close()

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for number in range(1, DEPLOYS + 1):
        deploy(platform, "orders", str(number))
    deploy(platform, "orders", "reloads", branch="test")
    ended.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    counted = Counter(counts_of(platform).read_text().split())
    print(f"\n{len(failed)} failed of {len(sent) + len(failed)} POSTs over {DEPLOYS} deploys and a reload")
    assert failed == []
    assert counted == Counter(sent), "each was counted once"
