"""A platform in one process: everything real but the clock and the proxy, which a test moves and looks at."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

import reserved
from balancer.domain.app import AppName, BranchName, Commit, PreviewKey
from balancer.domain.calendar import TimeZone
from balancer.domain.plan import STANDBY
from balancer.domain.push_mode import Mode
from balancer.domain.release import Instance, Release
from balancer.domain.routing import Role
from balancer.domain.split import CANARY
from balancer.runner import health, update_hook
from balancer.runner.bounds import Bounds
from balancer.runner.build import Builder
from balancer.runner.git import Repositories
from balancer.runner.git_command import environment
from balancer.runner.jobs import Jobs
from balancer.runner.ports import Ports
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.services.arrivals import Arrivals
from balancer.services.bandit_figures import BanditFigures
from balancer.services.bandits import Bandits
from balancer.services.branches import Branches
from balancer.services.build import Builds
from balancer.services.config_vars import ConfigVars
from balancer.services.cron import Cron
from balancer.services.deploy import Deploys
from balancer.services.expectation import Expectations
from balancer.services.experiment import Experiments
from balancer.services.formation import Formations
from balancer.services.freeze import Freezes
from balancer.services.interfaces import Ledger
from balancer.services.known_metrics import KnownMetrics
from balancer.services.launch import Launcher
from balancer.services.metrics import Metrics
from balancer.services.planning import Planning
from balancer.services.previews import Previews
from balancer.services.promotion import Promotions
from balancer.services.pull import Pulls
from balancer.services.push_modes import PushModes
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.reports import Reports
from balancer.services.rollback import Rollbacks
from balancer.services.rollout_figures import RolloutFigures
from balancer.services.rollout_planning import RolloutPlanning
from balancer.services.rollouts import Rollouts
from balancer.services.schedule import Schedules
from balancer.services.stamps import Stamps
from balancer.services.switch import Switch
from balancer.services.turns import Turns
from balancer.services.twins import Twins
from balancer.store.database import default_url, open_database
from balancer.store.ledger_client import LedgerClient
from balancer.store.registry import SqlRegistry
from balancer.testing import FakeClock, FakeProxy, FakeTeller
from running import Repository
from values import LOCALHOST, MASTER, SHOP

KEEP_RELEASES = 2
# The interpreter by its path: what the PATH has may be a script that looks for one.
SERVE = f"exec {Path(sys.executable).resolve()} -S -E app.py"
# It starts in 30 ms, and answers with its version; told to end, it takes as long as END_SECONDS says.
APP = """
import os, signal, socket, time

def end(*_):
    time.sleep(float(os.environ.get("END_SECONDS", "0")))
    os._exit(0)

signal.signal(signal.SIGTERM, end)
body = VERSION.encode()
head = b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
print("serving", VERSION, flush=True)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=64)
while True:
    visitor, _ = server.accept()
    with visitor:
        if visitor.recv(65536):
            visitor.sendall(head + body)
"""


def app_files(version: str, **files: str) -> dict[str, str]:
    """Return the tree of an app whose page says `version`."""
    return {"Procfile": f"web: {SERVE}\n", "app.py": f"VERSION = {version!r}\n{APP}", **files}


def probe_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask instances more often whether they are healthy, so that a push takes a tenth of a second."""
    monkeypatch.setattr(health, "_QUICK_PAUSE", 0.01)
    monkeypatch.setattr(health, "_SOON_PAUSE", 0.01)


class InProcess:
    """One platform below a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.clock = FakeClock()
        self.proxy = FakeProxy()
        self.teller = FakeTeller()
        self.registry = SqlRegistry(open_database(default_url(directory)), self.clock, Fernet(Fernet.generate_key()))
        self.registry.on_told = self.teller.kept
        self.workspace = Workspace(directory / "releases")
        self.repositories = Repositories(
            directory / "repositories", python=sys.executable, hook_script=Path(update_hook.__file__)
        )
        self.supervisor = self.new_supervisor()
        self.stamps = Stamps(self.clock)
        self.launcher = Launcher(self.registry, self.supervisor, Ports(*reserved.block()))
        self.reconciler = self.new_reconciler()
        self.turns = Turns()
        self.refs = Refs(self.registry, self.repositories, self.turns)
        self.formations = Formations(self.registry, self.launcher, self.reconciler, self.turns)
        switch = Switch(
            self.registry,
            self.workspace,
            self.reconciler,
            domain=LOCALHOST,
            site=":8080",
            keep_releases=KEEP_RELEASES,
        )
        self.branches = Branches(self.registry, self.reconciler, self.turns, self.refs, switch)
        self.config_vars = ConfigVars(self.registry, self.launcher, self.turns, switch)
        self.rollbacks = Rollbacks(
            self.registry, self.workspace, self.launcher, self.reconciler, self.refs, self.formations, switch
        )
        self.jobs = self.new_jobs()
        self.cron = Cron(self.registry, self.jobs, self.clock)
        self.freezes = Freezes(self.registry, self.clock, TimeZone("Europe/Vienna"))
        self.promotions = Promotions(
            self.registry, self.repositories, self.launcher, self.formations, switch, self.refs
        )
        self.metrics = Metrics(self.registry)
        ledger = LedgerClient(directory / "run" / "ledger.sock")
        self.known_metrics = KnownMetrics(self.metrics, ledger)
        self.expectations = Expectations(self.registry, ledger, self.clock)
        self.experiments = Experiments(
            self.registry,
            self.reconciler,
            self.promotions,
            self.known_metrics,
            self.refs,
            self.expectations,
            clock=self.clock,
        )
        self.rolling = self.rollouts(Reports(self.registry, ledger, self.clock, TimeZone("UTC")), ledger)
        self.rollout_planning = RolloutPlanning(
            *(self.registry, self.rolling, self.expectations),
            Planning(self.registry, self.metrics, self.expectations),
            Schedules(self.registry, self.clock, TimeZone("UTC")),
            clock=self.clock,
        )
        self.deploys = Deploys(
            self.registry,
            self.repositories,
            self.workspace,
            Builds(
                self.registry,
                self.repositories,
                self.workspace,
                Builder(
                    self.workspace, data_dir=directory, timeout_seconds=120, bounds=Bounds(memory_mb=2048), at_once=2
                ),
                domain=LOCALHOST,
            ),
            self.launcher,
            self.formations,
            switch,
            self.refs,
            self.freezes,
            PushModes(self.registry, self.rolling, self.known_metrics, self.freezes),
            self.rollout_planning,
        )
        self.arrivals = Arrivals(self.registry, self.repositories, self.deploys, clock=self.clock)
        self.pulls = Pulls(self.registry, self.arrivals, self.branches, clock=self.clock, teller=self.teller)
        self.twins = Twins(
            self.registry, self.reconciler, self.launcher, self.turns, switch, self.refs, self.experiments
        )
        keys = (PreviewKey(f"p{number:016x}") for number in itertools.count(1))
        self.previews = Previews(self.registry, self.reconciler, lambda: next(keys))
        self.told: list[str] = []
        """What the people who pushed were told."""

    def rollouts(self, reports: Reports, ledger: Ledger) -> Rollouts:
        """Return rollouts that remember nothing, as a daemon that starts has them."""
        return Rollouts(
            self.registry,
            self.reconciler,
            self.experiments,
            self.promotions,
            self.expectations,
            RolloutFigures(self.registry, ledger, reports, self.proxy, self.supervisor, self.clock),
            Schedules(self.registry, self.clock, TimeZone("Europe/Vienna")),
            self.refs,
            clock=self.clock,
        )

    def bandits(self, reports: Reports, ledger: Ledger) -> Bandits:
        """Return bandits that remember nothing, as a daemon that starts has them."""
        arms = RolloutFigures(self.registry, ledger, reports, self.proxy, self.supervisor, self.clock)
        return Bandits(
            self.registry,
            self.reconciler,
            self.experiments,
            self.promotions,
            self.expectations,
            BanditFigures(ledger, arms, self.clock),
            Schedules(self.registry, self.clock, TimeZone("Europe/Vienna")),
            clock=self.clock,
        )

    def new_supervisor(self) -> Supervisor:
        """Return another supervisor, as a daemon that starts has it."""
        return Supervisor(
            self.workspace,
            domain=LOCALHOST,
            clock=self.clock,
            config_of=self.registry.release_config,
            record=self.registry.record_process,
        )

    def new_jobs(self) -> Jobs:
        """Return other cron jobs, as a daemon that starts has them."""
        return Jobs(self.workspace, data_dir=self.directory, config_of=self.registry.release_config)

    def new_reconciler(self) -> Reconciler:
        """Return another reconciler of the present supervisor."""
        return Reconciler(
            self.registry,
            self.supervisor,
            self.proxy,
            self.stamps,
            launcher=self.launcher,
            clock=self.clock,
            domain=LOCALHOST,
            teller=self.teller,
        )

    async def create(self, app: str = "shop", default_branch: BranchName | None = None) -> Repository:
        """Create an app, and a developer's repository of it."""
        name = AppName(app)
        await self.registry.create_app(name, default_branch)
        await self.repositories.create(name)
        return Repository(self.directory / f"work-{app}", str(self.repositories.path(name)))

    def commit(self, work: Repository, files: Mapping[str, str], branch: str = "master") -> Commit:
        """Commit a tree and bring it into the app's repository, without a push: no ref moves."""
        commit = work.commit(files, branch)
        bare = work.git("remote", "get-url", "balancer").stdout.strip()
        local = environment({"GIT_ALLOW_PROTOCOL": "file"})
        subprocess.run(["git", "fetch", "--quiet", work.directory, branch], cwd=bare, env=local, check=True)
        return Commit(commit)

    async def push(
        self,
        work: Repository,
        files: Mapping[str, str],
        branch: str = "master",
        *,
        app: AppName = SHOP,
        asked: Mode | None = None,
    ) -> Release:
        """Deploy a tree as a push does, one second after the last; git moves the ref where it was accepted."""
        self.clock.advance(1)
        commit = self.commit(work, files, branch)
        name = BranchName(branch)
        before = (await self.refs.wanted(app)).get(name)
        release = await self.deploys.push(app, name, commit, before, self.told.append, asked=asked)
        await self.repositories.move_ref(app, name, commit)
        await self.refs.settle(app, {name, CANARY})
        return release

    async def end_standby(self) -> None:
        """Let so much time go by that nothing stands by any more."""
        self.clock.advance(STANDBY.total_seconds())
        await self.reconciler.converge()

    async def live(self, branch: BranchName = MASTER, app: AppName = SHOP) -> Release | None:
        """Return the live release of a branch."""
        return (await self.registry.snapshot()).live(app).get(branch)

    async def live_commit(self, branch: BranchName = MASTER, app: AppName = SHOP) -> Commit | None:
        """Return the commit that is live on a branch."""
        release = await self.live(branch, app)
        return release.commit if release else None

    async def instances(self, release: Release) -> tuple[Instance, ...]:
        """Return the instances of a release that are not stopped."""
        return (await self.registry.snapshot()).instances_of(release)

    async def states(self, app: AppName = SHOP) -> dict[int, str]:
        """Return the state of each release, by number."""
        return {release.number: release.state.value for release in await self.registry.releases(app)}

    def routes(self) -> dict[str, list[tuple[str, Role]]]:
        """Return the servers of each backend, as the proxy has them."""
        backends = (backend for app in self.proxy.table.apps for backend in app.backends)
        return {backend.name: [(server.name, server.role) for server in backend.servers] for backend in backends}

    async def page(self, release: Release) -> str:
        """Return what the first instance of a release answers."""
        (first, *_) = await self.instances(release)
        reader, writer = await asyncio.open_connection("127.0.0.1", first.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.decode().rpartition("\r\n")[2]

    @asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """Reconcile in the background, as the daemon does."""
        self.supervisor.on_exit = self.reconciler.wake
        running = asyncio.ensure_future(self.reconciler.run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def end(self) -> None:
        """Stop every instance and close the registry."""
        await self.jobs.stop_all(0)
        await self.supervisor.stop_all(0)
        await self.registry.close()


@asynccontextmanager
async def in_process(directory: Path) -> AsyncIterator[InProcess]:
    """Give a platform without apps, and end it."""
    platform = InProcess(directory)
    try:
        yield platform
    finally:
        await platform.end()
