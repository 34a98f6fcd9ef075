"""A whole platform for tests: the real daemon, HAProxy, git, ledger and instances, on ports of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import reserved
from balancer import processes
from balancer.client import Client
from balancer.wire.splits import NewSplit
from waiting import until

BALANCER = Path(sys.executable).parent / "balancer"
# An app whose page names it, that starts at once, and that dies where it is asked to.
APP = """
import os, signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        if self.path == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        body = (VERSION + " " + self.headers.get("X-Balancer-Branch", "-")).encode()
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.path.startswith("/buy"):
            self.send_header("Balancer-Event", "purchase=" + self.path.partition("=")[2])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

Server(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""


# The interpreter by its path: what the PATH has may be a script that looks for one, which takes longer than the app.
WEB = f"web: {Path(sys.executable).resolve()} -S -E app.py\n"


def app_files(version: str) -> dict[str, str]:
    """Return the tree of an app whose page says `version`."""
    return {"Procfile": WEB, "app.py": f"VERSION = {version!r}\n{APP}"}


class Running:
    """One platform below a directory."""

    def __init__(self, directory: Path, variables: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._variables = variables or {}
        self.data = Path(self._variables.get("BALANCER_DATA_DIR", directory / "data"))
        self.port, self.admin_port = reserved.ports(2)
        self._instance_ports = "{}-{}".format(*reserved.block())
        self.wrapper: tuple[str, ...] = ()
        """What runs the daemon, `prlimit` say; nothing by default."""
        self._log = directory / "platform.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None
        self._repositories: dict[str, Repository] = {}

    def start(self) -> None:
        """Start the daemon, and return when it is ready."""
        began_at = self._log.stat().st_size if self._log.exists() else 0
        flags = {
            "--data-dir": self.data,
            "--port": self.port,
            "--admin-port": self.admin_port,
            "--instance-ports": self._instance_ports,
        }
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.wrapper, BALANCER, "serve", *(str(word) for pair in flags.items() for word in pair)],
                env=self.environment(),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        until(lambda: b"daemon.ready" in self._log.read_bytes()[began_at:] or self._has_ended(), 60)
        assert not self._has_ended(), self._log.read_text()

    def kill(self) -> None:
        """kill -9 the daemon."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def kill_ledger(self) -> int:
        """kill -9 the ledger, once there is one, and return the pid that it had."""
        return _killed(self.ledger_pid, signal.SIGKILL)

    def kill_proxy(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to HAProxy's master, once there is one, and return the pid that it has or had."""
        return _killed(self.proxy_pid, number)

    def wait_until_dead(self, seconds: float = 60) -> None:
        """Return when the daemon has ended by itself."""
        assert self._daemon is not None
        self._daemon.wait(seconds)

    def stop(self) -> int:
        """SIGTERM the daemon, and return what it exits with."""
        assert self._daemon is not None
        if self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGTERM)
        return self._daemon.wait(60)

    def end(self) -> None:
        """Stop everything, also what a killed daemon has left; only what is ours."""
        if self._client is not None:
            self._client.close()
        if self._daemon is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in self._left_behind():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _left_behind(self) -> list[int]:
        """Return the leaders of process groups that were started with our data directory in their environment."""
        ours, found = str(self.data).encode(), []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                marks = [v for v in (entry / "environ").read_bytes().split(b"\0") if v.startswith(b"BALANCER_")]
                if os.getpgid(pid) == pid and any(ours in mark for mark in marks):
                    found.append(pid)
        return found

    @property
    def client(self) -> Client:
        """A client of the admin API."""
        if self._client is None:
            token = (self.data / "operator.token").read_text().strip()
            self._client = Client(f"http://127.0.0.1:{self.admin_port}", token)
        return self._client

    def daemon_pid(self) -> int:
        """The pid of the daemon that was started last."""
        assert self._daemon is not None
        return self._daemon.pid

    def proxy_pid(self) -> int:
        """The pid of HAProxy's master; 0 while there is none."""
        found = processes.find("BALANCER_PROXY", str(self.data / "haproxy"))
        return found.pid if found else 0

    def ledger_pid(self) -> int:
        """The pid of the ledger; 0 while there is none."""
        found = processes.find("BALANCER_LEDGER", str(self.data))
        return found.pid if found else 0

    def instance_pid(self, app: str, branch: str) -> int:
        """The pid of the only instance of a branch."""
        leaving = ("draining", "standby")
        (pid,) = (i.pid for i in self.client.instances(app) if i.branch == branch and i.state not in leaving)
        assert pid is not None
        return pid

    def serving_pid(self, app: str, branch: str) -> int:
        """The pid of what serves for the only instance of a branch: what its shell has started, or itself."""
        pid = self.instance_pid(app, branch)
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(started[0]) if started else pid

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `balancer …` and return how it ended."""
        return subprocess.run(
            [BALANCER, *words], env=self.environment(), capture_output=True, text=True, timeout=180, check=False
        )

    def json(self, *words: str) -> object:
        """Run `balancer … --json` and return what it printed."""
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def json_lines(self, *words: str) -> list[dict[str, str]]:
        """Run `balancer … --json` and return what it printed, an object a line."""
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return [json.loads(line) for line in done.stdout.splitlines()]

    def environment(self) -> dict[str, str]:
        """Return the environment in which commands mean this platform."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BALANCER_")}
        return {
            **kept,
            "BALANCER_DATA_DIR": str(self.data),
            "BALANCER_ADMIN_PORT": str(self.admin_port),
            "BALANCER_AUTHORIZED_KEYS": str(self.directory / "authorized_keys"),
            "XDG_CONFIG_HOME": str(self.directory / "no-config"),
            "BALANCER_STANDBY_SECONDS": "30",  # tests wait for what stands by to end
            **self._variables,
        }

    def create(self, app: str) -> "Repository":
        """Create an app, and a repository whose remote it is."""
        self.client.create_app(app)
        self._repositories[app] = Repository(self.directory / app, self.client.remote(app))
        return self._repositories[app]

    def repository(self, app: str) -> "Repository":
        """Return the repository that `create` made."""
        return self._repositories[app]

    def log(self) -> list[dict[str, object]]:
        """Return the platform's own log."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def reloads(self) -> int:
        """Return how often HAProxy was reloaded."""
        return sum(entry["message"] == "proxy.reloaded" for entry in self.log())

    def split(self, app: str, **weights: int) -> None:
        """Begin a split."""
        self.client.start_split(app, NewSplit.model_validate({"weights": weights}))

    def declare(self, app: str, event: str) -> None:
        """Declare who did `event` as a metric, so that it can decide before the first one has come."""
        self.json("metrics", "set", app, event, "--kind", "converted", "--event", event)

    def _has_ended(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is not None


def _killed(find: Callable[[], int], number: signal.Signals) -> int:
    """Send a signal to what is found; never to 0, which is our own process group: all of the tests, then."""
    found: list[int] = []

    def is_there() -> int:
        found.append(find())
        return found[-1]

    until(is_there, 60)
    os.kill(found[-1], number)
    return found[-1]


class Repository:
    """A developer's repository of an app."""

    def __init__(self, directory: Path, remote: str) -> None:
        self.directory = directory
        directory.mkdir()
        self.git("init", "--quiet", "--initial-branch=master")
        self.git("remote", "add", "balancer", remote)

    def commit(self, files: Mapping[str, str], branch: str = "master") -> str:
        """Make `files` the whole tree of a branch, and return the commit."""
        if self.git("rev-parse", "--verify", "--quiet", branch, check=False).returncode:
            self.git("checkout", "--quiet", "--orphan", branch)
        else:
            self.git("checkout", "--quiet", branch)
        for entry in self.directory.iterdir():
            if entry.name != ".git":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for name, text in files.items():
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_text(text)
        self.git("add", "--all")
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        self.git(*identity, "commit", "--quiet", "--allow-empty", "--message", f"A commit of {branch}")
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *refs: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Push by real git, and return how it ended."""
        return self.git("push", "balancer", *refs, check=check)

    def deploy(self, version: str, branch: str = "master") -> None:
        """Commit the app with another version, and push it."""
        self.commit(app_files(version), branch)
        self.push(branch)

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run git there."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.directory, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done


@contextlib.contextmanager
def running(directory: Path, **variables: str) -> Iterator[Running]:
    """Give a platform that was started with these variables in its environment, and end it."""
    platform = Running(directory, variables)
    try:
        platform.start()
        yield platform
    finally:
        platform.end()
