"""ClickHouse servers for tests: Debian's `clickhouse-server`, two shards of one cluster, on loopback.

Run as a program it is one such server out of chDB, today's ClickHouse in a process: its HTTP interface as far as the
ledger uses it.
"""

import contextlib
import http.server
import importlib.util
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import reserved
from waiting import until

PASSWORD = "p w'@/"
USER = "balancer"
CLUSTER = "pair"
# A server of 18.16 answers within 2 s; chDB takes some seconds to be imported.
_READY_SECONDS = 60
_CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><log>{directory}/log</log><errorlog>{directory}/errors.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
  <interserver_http_host>127.0.0.1</interserver_http_host><interserver_http_port>{peers}</interserver_http_port>
  <max_connections>64</max_connections><max_concurrent_queries>50</max_concurrent_queries>
  <keep_alive_timeout>3</keep_alive_timeout>
  <uncompressed_cache_size>0</uncompressed_cache_size><mark_cache_size>67108864</mark_cache_size>
  <path>{directory}/data/</path><tmp_path>{directory}/tmp/</tmp_path><user_files_path>{directory}/files/</user_files_path>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database>
  <remote_servers><{cluster}>{shards}</{cluster}></remote_servers>
</yandex>
"""
_SHARD = """<shard><replica><host>127.0.0.1</host><port>{tcp}</port><user>{user}</user>
    <password>{password}</password></replica></shard>"""
_USERS = """<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage><max_threads>2</max_threads></default></profiles>
  <users><{user}>
    <password>{password}</password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota>
  </{user}></users>
  <quotas><default></default></quotas>
</yandex>
"""


class Server:
    """One server below a directory; it may be stopped and started."""

    def __init__(self, directory: Path, http: int, command: list[str]) -> None:
        self.port = http
        self._directory = directory
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self._directory / "output").open("ab") as output:
            self._process = subprocess.Popen(self._command, cwd=self._directory, stdout=output, stderr=output)
        until(lambda: self._answers() or self._has_ended(), _READY_SECONDS)
        assert not self._has_ended(), (self._directory / "output").read_text()

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()  # nothing of it may need a farewell
            self._process.wait()
            self._process = None

    def ask(self, sql: str) -> str:
        """Execute a statement, and return what the server says."""
        answer = httpx.post(f"http://127.0.0.1:{self.port}/", content=sql, auth=(USER, PASSWORD), trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.text

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/ping", trust_env=False).text == "Ok.\n"
        return False

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class Servers:
    """Some of them: the shards of one cluster, or a single one."""

    def __init__(self, servers: list[Server], cluster: str | None) -> None:
        self.servers = servers
        self._cluster = cluster
        self._databases = 0

    def url(self, ports: list[int] | None = None, database: str | None = None) -> str:
        """Return the URL of a database, a new one by default; `ports` may be those of relays before the servers."""
        if database is None:
            self._databases += 1
            database = f"ledger_{self._databases}"
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or [server.port for server in self.servers])
        cluster = f"?cluster={self._cluster}" if self._cluster else ""
        return f"clickhouse://{USER}:{urllib.parse.quote(PASSWORD, safe='')}@{hosts}/{database}{cluster}"


@contextlib.contextmanager
def two_shards(directory: Path) -> Iterator[Servers]:
    """Give two servers that are the shards of one cluster; skips where there is no `clickhouse-server`."""
    program = shutil.which("clickhouse-server") or shutil.which("clickhouse-server", path="/usr/sbin")
    if program is None:
        pytest.skip("no clickhouse-server")
    ports = [reserved.ports(3) for _ in range(2)]
    escaped = PASSWORD.replace("&", "&amp;").replace("<", "&lt;")
    shards = "".join(_SHARD.format(tcp=tcp, user=USER, password=escaped) for _, tcp, _ in ports)
    servers = []
    for number, (web, tcp, peers) in enumerate(ports, 1):
        home = directory / f"shard{number}"
        home.mkdir()
        config = _CONFIG.format(directory=home, http=web, tcp=tcp, peers=peers, cluster=CLUSTER, shards=shards)
        (home / "config.xml").write_text(config)
        (home / "users.xml").write_text(_USERS.format(user=USER, password=escaped))
        servers.append(Server(home, web, [program, f"--config-file={home}/config.xml"]))
    with _started(Servers(servers, CLUSTER)) as started:
        yield started


def has_chdb() -> bool:
    """Tell whether chDB is installed (`make test-chdb` does it)."""
    return importlib.util.find_spec("chdb") is not None


@contextlib.contextmanager
def chdb_server(directory: Path) -> Iterator[Servers]:
    """Give one server made of chDB."""
    (port,) = reserved.ports(1)
    command = [sys.executable, __file__, str(port), str(directory / "chdb")]
    with _started(Servers([Server(directory, port, command)], None)) as started:
        yield started


@contextlib.contextmanager
def _started(servers: Servers) -> Iterator[Servers]:
    try:
        for server in servers.servers:
            server.start()
        yield servers
    finally:
        for server in servers.servers:
            server.stop()


def _serve_chdb(port: int, directory: str) -> None:
    """Answer ClickHouse's HTTP interface on `port` out of chDB: one statement at a time."""
    from chdb.session import Session

    session = Session(directory)

    class Answering(http.server.BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self) -> None:
            self._say(200, b"Ok.\n")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            statement = asked.pop("query", "")
            for name in ("query_id", "wait_end_of_query"):
                asked.pop(name, None)
            rows = Path(directory).with_name("rows")
            try:
                if statement:  # what is inserted comes as a file, for chDB takes statements as texts
                    rows.write_bytes(body)
                    into, _, form = statement.rpartition(" FORMAT ")
                    sql = f"{into} FROM INFILE '{rows}' FORMAT {form}"
                else:
                    sql = body.decode()
                for name, value in asked.items():
                    session.query(f"SET {name} = {value}")
                self._say(200, bytes(session.query(sql, "TabSeparated").bytes() or b""))
            except Exception as error:  # noqa: BLE001 # whatever it is, the one who asked is told
                self._say(500, str(error).encode())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    class Single(http.server.HTTPServer):
        request_queue_size = 64

    Single(("127.0.0.1", port), Answering).serve_forever()


if __name__ == "__main__":
    _serve_chdb(int(sys.argv[1]), sys.argv[2])
