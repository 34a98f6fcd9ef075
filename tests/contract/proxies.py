"""A real HAProxy in front of loopback instances, without the rest of the platform."""

import asyncio
import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

from balancer.domain.allocation import Range, reallocate
from balancer.domain.app import BranchName
from balancer.domain.routing import AppRoute, BackendRoute, Role, RouteTable, ServerRoute, SplitRoute
from balancer.domain.split import SplitId
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.installed import find_executable
from balancer.proxy.life import ProxyLife


class Proxy:
    """A running HAProxy, its directory, and the port of its site."""

    def __init__(self, haproxy: HAProxy, life: ProxyLife, edge: Path) -> None:
        self.haproxy = haproxy
        self.port = life.port
        self._edge = edge

    def edge_lines(self) -> list[dict[str, object]]:
        """Return the whole lines of the edge log, without HAProxy's own notices."""
        return [json.loads(line) for line in self.edge_bytes() if line.startswith(b"{")]

    def edge_bytes(self) -> list[bytes]:
        """Return all whole lines of the edge log as they are, without their ends."""
        return b"".join(path.read_bytes() for path in sorted(self._edge.glob("*.log"))).split(b"\n")[:-1]


@contextlib.asynccontextmanager
async def haproxy(
    directory: Path, table: RouteTable, *, host: str = "127.0.0.1", trusted_proxies: Sequence[str] = ()
) -> AsyncIterator[Proxy]:
    """Give a HAProxy that does what `table` says, kept alive, and end it."""
    driver = HAProxy(
        directory / "haproxy",
        executable=find_executable("haproxy"),
        maxconn=2000,
        trusted_proxies=[ip_network(each) for each in trusted_proxies],
    )
    life = ProxyLife(driver, edge=directory / "edge", host=host, port=0)
    await life.begin(table)
    alive = asyncio.ensure_future(life.keep_alive())
    try:
        yield Proxy(driver, life, directory / "edge")
    finally:
        alive.cancel()
        await asyncio.gather(alive, return_exceptions=True)
        await life.end(5.0)


@contextlib.contextmanager
def instance(name: str, held: threading.Event | None = None, release: threading.Event | None = None) -> Iterator[int]:
    """Give the port of an instance that answers with its name and the headers it was sent, as JSON.

    With `held` and `release` it says when it has a request, and answers when it is told to.
    """

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # an answer is one write, else its second half waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            if held and release:
                held.set()
                release.wait(60)
            sent = {key.lower(): value for key, value in self.headers.items()}
            body = json.dumps({"instance": name, "headers": sent}).encode()
            self.send_response(503 if self.path == "/fail" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "text/html")
            if self.path == "/event":
                self.send_header("Balancer-Event", "purchase=1.5, signup")
            if self.path.startswith("/events="):
                self.send_header("Balancer-Event", "e" * int(self.path.partition("=")[2]))
            if self.path == "/pricing/plans":
                self.send_header("Balancer-Dimension", "plan=pro")
            if self.path == "/cookies":
                for number in range(50):
                    self.send_header("Set-Cookie", f"c{number}={number}; Path=/")
            if self.path == "/public":
                self.send_header("Cache-Control", "public, max-age=60")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


SWIFT = """\
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
"""


@contextlib.contextmanager
def swift_instances(directory: Path, *names: str) -> Iterator[dict[str, int]]:
    """Give the ports of instances that answer with their name in a header, as fast as HAProxy itself can."""
    config = directory / "instances.cfg"
    sockets = {name: socket.create_server(("127.0.0.1", 0), backlog=1024) for name in names}
    config.write_text(
        SWIFT
        + "".join(
            f"frontend {name}\n  bind fd@{listening.fileno()}\n  http-request return status 200 hdr X-Instance {name}\n"
            for name, listening in sockets.items()
        )
    )
    fds = [listening.fileno() for listening in sockets.values()]
    process = subprocess.Popen([find_executable("haproxy"), "-db", "-q", "-f", str(config)], pass_fds=fds)
    try:
        yield {name: listening.getsockname()[1] for name, listening in sockets.items()}
    finally:
        process.terminate()
        process.wait(10)
        for listening in sockets.values():
            listening.close()


def app_route(
    name: str,
    instances: Mapping[str, Sequence[int]],
    *,
    split: str | None = None,
    weights: Sequence[Mapping[str, int]] = (),
    draining: Mapping[str, Sequence[int]] | None = None,
    standby: Mapping[str, Sequence[int]] | None = None,
) -> AppRoute:
    """Return the route of an app: its branches with the ports of their instances, the first one the default."""
    backends = []
    for branch, ports in instances.items():
        servers = [ServerRoute(name=f"r1-i{port}", port=port, role=Role.ACTIVE) for port in ports]
        servers += [
            ServerRoute(name=f"r1-i{port}", port=port, role=Role.DRAINING) for port in (draining or {}).get(branch, ())
        ]
        for port in (standby or {}).get(branch, ()):
            servers.append(ServerRoute(name=f"r1-i{port}", port=port, role=Role.DRAINING))
            servers.append(ServerRoute(name=f"standby.r1-i{port}", port=port, role=Role.STANDBY))
        backends.append(BackendRoute(name=f"{branch}--{name}", servers=tuple(servers)))
    allocation: tuple[Range, ...] = ()
    for phase in weights:
        allocation = reallocate(allocation, {BranchName(branch): weight for branch, weight in phase.items()})
    route = None
    if split is not None:
        route = SplitRoute(
            id=SplitId(split),
            phase=len(weights),
            allocation=allocation,
            backends={branch: f"{branch}--{name}" for branch in weights[-1]},
        )
    return AppRoute(
        name=name,
        hosts=(f"{name}.localhost",),
        branch_hosts={f"{branch}--{name}.localhost": f"{branch}--{name}" for branch in instances},
        default_backend=backends[0].name if backends else None,
        backends=tuple(backends),
        split=route,
    )
