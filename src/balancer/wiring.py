"""The wiring: every part of the platform, made from the settings and given to those that need it.

Invariant: here, and in `ledgerd`, services meet what is outside of them; nowhere else.

Used by `daemon`, which starts the parts and stops them.
"""

import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from balancer import data_directory
from balancer.api.platform import Platform
from balancer.clock import SystemClock
from balancer.config import Settings
from balancer.domain.app import PreviewKey
from balancer.domain.notice import disk_is_low
from balancer.domain.smtp_url import SmtpUrl
from balancer.domain.token import OPERATORS_OWN, digest
from balancer.post.courier import Courier
from balancer.proxy.accesslog import read_line
from balancer.proxy.capacity import connections
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.life import ProxyLife
from balancer.runner.authorized_keys import AuthorizedKeys
from balancer.runner.bounds import Bounds
from balancer.runner.build import Builder
from balancer.runner.disk import Disk
from balancer.runner.git import Repositories
from balancer.runner.jobs import Jobs
from balancer.runner.log_keeper import LogKeeper
from balancer.runner.one_off import OneOffs
from balancer.runner.ports import Ports
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.services.acceptance import Acceptance
from balancer.services.app_detail import AppDetails
from balancer.services.apps import Apps
from balancer.services.arrivals import Arrivals
from balancer.services.attempts import Attempts
from balancer.services.audit import Audit
from balancer.services.bandit_figures import BanditFigures
from balancer.services.bandits import Bandits
from balancer.services.branches import Branches
from balancer.services.build import Builds
from balancer.services.config_vars import ConfigVars
from balancer.services.cron import Cron
from balancer.services.daily import DailyLooks
from balancer.services.deliveries import Deliveries
from balancer.services.deploy import Deploys
from balancer.services.event_rows import EventRows
from balancer.services.expectation import Expectations
from balancer.services.experiment import Experiments
from balancer.services.formation import Formations
from balancer.services.freeze import Freezes
from balancer.services.kept_logs import KeptLogs
from balancer.services.keys import Keys
from balancer.services.known_metrics import KnownMetrics
from balancer.services.launch import Launcher
from balancer.services.lights import Lights
from balancer.services.loads import Loads
from balancer.services.merges import Merges
from balancer.services.metrics import Metrics
from balancer.services.overview import Overviews
from balancer.services.planning import Planning
from balancer.services.previews import Previews
from balancer.services.probing import Prober
from balancer.services.promotion import Promotions
from balancer.services.pull import Pulls
from balancer.services.pulse import Pulse
from balancer.services.push_modes import PushModes
from balancer.services.rates import Rates
from balancer.services.raw_stats import RawStats
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.reports import Reports
from balancer.services.retention import Retention
from balancer.services.rollback import Rollbacks
from balancer.services.rollout_figures import RolloutFigures
from balancer.services.rollout_planning import RolloutPlanning
from balancer.services.rollouts import Rollouts
from balancer.services.schedule import Schedules
from balancer.services.sessions import Sessions
from balancer.services.sign_in_links import SignInLinks
from balancer.services.split_detail import SplitDetails
from balancer.services.stamps import Stamps
from balancer.services.switch import Switch
from balancer.services.targets import Targets
from balancer.services.tokens import Tokens, new_token
from balancer.services.turns import Turns
from balancer.services.twins import Twins
from balancer.services.undertakings import Undertakings
from balancer.store.cipher import cipher
from balancer.store.database import default_url, open_database
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_life import LedgerLife
from balancer.store.registry import SqlRegistry
from balancer.store.spool import Spool

clock = SystemClock()


class Wiring:
    """The parts, put together; nothing runs yet."""

    def __init__(self, settings: Settings, executable: str, held: Sequence[socket.socket]) -> None:
        self._settings = settings
        self.turns = Turns()
        self.disk = Disk(settings.data_dir)
        data = settings.data_dir
        self.registry = SqlRegistry(open_database(default_url(data)), clock, cipher(data))
        smtp = SmtpUrl.parse(settings.smtp_url) if settings.smtp_url else None
        self.courier = Courier(smtp, settings.smtp_from, clock)
        self.deliveries = Deliveries(self.registry, self.courier)
        self.registry.on_told = self.deliveries.kept
        self.disk.on_low = lambda free: self.deliveries.tell(disk_is_low(str(data), free))
        self.workspace = Workspace(data / "releases")
        self.builder = Builder(
            self.workspace,
            data_dir=data,
            timeout_seconds=settings.build_timeout_seconds,
            bounds=Bounds.find(data, memory_mb=settings.build_memory_mb),
            at_once=settings.builds_at_once or os.cpu_count() or 1,
        )
        self.repositories = Repositories(
            data / "repositories",
            python=sys.executable,
            hook_script=Path(__file__).parent / "runner" / "update_hook.py",
        )
        self.supervisor = Supervisor(
            self.workspace,
            domain=settings.domain,
            clock=clock,
            config_of=self.registry.release_config,
            record=self.registry.record_process,
            stop_grace_seconds=settings.stop_grace_seconds,
        )
        self.one_offs = OneOffs(self.workspace, data_dir=data, config_of=self.registry.release_config)
        self.jobs = Jobs(self.workspace, data_dir=data, config_of=self.registry.release_config)
        self.proxy = HAProxy(
            data / "haproxy",
            executable=executable,
            maxconn=connections(),
            trusted_proxies=settings.trusted_proxies,
        )
        self.proxy_life = ProxyLife(self.proxy, edge=data / "edge", host=settings.host, port=settings.port, held=held)
        self.ledger = LedgerClient(data / "run" / "ledger.sock")
        self.ledger_life = LedgerLife(data, self.ledger, settings.ledger_url)
        self.spool = Spool(data / "spool", free_bytes=lambda: self.disk.free_bytes)
        self.retention = Retention(self.registry, self.ledger, clock, settings.retention_days)
        self.stamps = Stamps(clock)
        self.launcher = Launcher(self.registry, self.supervisor, Ports(*settings.instance_port_range))
        self.reconciler = Reconciler(
            self.registry,
            self.supervisor,
            self.proxy,
            self.stamps,
            launcher=self.launcher,
            clock=clock,
            domain=settings.domain,
            standby=timedelta(seconds=settings.standby_seconds),
            teller=self.deliveries,
        )
        self.prober = Prober(self.registry, self.supervisor, self.reconciler, every_seconds=settings.probe_seconds)
        ours = (data / "haproxy" / "haproxy.log", data / "log" / "ledger.log")
        kept = KeptLogs(self.registry, self.workspace, self.supervisor, ours)
        self.log_keeper = LogKeeper(kept.files, clock)

    @property
    def hooks(self) -> Path:
        """The socket where the update hook finds the daemon."""
        return self._settings.data_dir / "run" / "hooks.sock"

    async def platform(self, url: str, upgrade: Callable[[], Awaitable[str]]) -> Platform:
        """Return what the routes of the API at `url` work on; `upgrade` begins to replace the daemon."""
        settings = self._settings
        site = "" if self.proxy_life.port == 80 else f":{self.proxy_life.port}"
        launcher = self.launcher
        refs = Refs(self.registry, self.repositories, self.turns)
        formations = Formations(self.registry, launcher, self.reconciler, self.turns)
        switch = Switch(
            self.registry,
            self.workspace,
            self.reconciler,
            domain=settings.domain,
            site=site,
            keep_releases=settings.keep_releases,
        )
        freezes = Freezes(self.registry, clock, settings.timezone)
        schedules = Schedules(self.registry, clock, settings.timezone)
        rollbacks = Rollbacks(self.registry, self.workspace, launcher, self.reconciler, refs, formations, switch)
        branches = Branches(self.registry, self.reconciler, self.turns, refs, switch)
        reports = Reports(self.registry, self.ledger, clock, settings.timezone, teller=self.deliveries)
        promotions = Promotions(self.registry, self.repositories, launcher, formations, switch, refs)
        metrics = Metrics(self.registry)
        known = KnownMetrics(metrics, self.ledger)
        expectations = Expectations(self.registry, self.ledger, clock)
        planning = Planning(self.registry, metrics, expectations)
        experiments = Experiments(self.registry, self.reconciler, promotions, known, refs, expectations, clock=clock)
        figures = RolloutFigures(self.registry, self.ledger, reports, self.proxy, self.supervisor, clock)
        rollouts = Rollouts(
            *(self.registry, self.reconciler, experiments, promotions, expectations, figures, schedules, refs),
            clock=clock,
        )
        rollout_planning = RolloutPlanning(*(self.registry, rollouts, expectations, planning, schedules), clock=clock)
        deploys = Deploys(
            self.registry,
            self.repositories,
            self.workspace,
            Builds(self.registry, self.repositories, self.workspace, self.builder, domain=settings.domain),
            launcher,
            formations,
            switch,
            refs,
            freezes,
            PushModes(self.registry, rollouts, known, freezes),
            rollout_planning,
        )
        arrivals = Arrivals(self.registry, self.repositories, deploys, clock=clock)
        rates, lights = Rates(self.proxy, clock), Lights(reports, clock)
        arms = RolloutFigures(self.registry, self.ledger, reports, self.proxy, self.supervisor, clock)
        bandits = Bandits(
            *(self.registry, self.reconciler, experiments, promotions, expectations),
            BanditFigures(self.ledger, arms, clock),
            schedules,
            clock=clock,
        )
        audit = Audit(self.registry, clock, settings.timezone)
        merges = Merges(self.registry, self.repositories)
        overviews = Overviews(
            *(self.registry, self.supervisor, self.workspace, rollouts, rates, lights),
            clock=clock,
            domain=settings.domain,
            site=site,
        )
        return Platform(
            rates=rates,
            lights=lights,
            overviews=overviews,
            app_details=AppDetails(
                *(self.registry, self.supervisor, self.workspace, overviews, formations, rollouts, bandits, audit),
                *(Loads(self.supervisor, clock), merges),
                clock=clock,
            ),
            pulse=Pulse(settings.data_dir / "edge", read_line, clock),
            undertakings=Undertakings(clock),
            registry=self.registry,
            repositories=self.repositories,
            workspace=self.workspace,
            supervisor=self.supervisor,
            apps=Apps(self.registry, self.repositories, self.workspace, self.reconciler, formations, self.turns),
            keys=Keys(self.registry, self._key_file(url)),
            targets=Targets(self.registry, self.courier, clock),
            tokens=Tokens(self.registry),
            sign_in_links=SignInLinks(self.registry, clock),
            sessions=Sessions(self.registry, Attempts(clock.ticks)),
            audit=audit,
            branches=branches,
            deploys=deploys,
            arrivals=arrivals,
            acceptance=Acceptance(self.registry, self.spool, clock),
            pulls=Pulls(self.registry, arrivals, branches, clock=clock, teller=self.deliveries),
            rollbacks=rollbacks,
            rollouts=rollouts,
            rollout_planning=rollout_planning,
            bandits=bandits,
            one_offs=self.one_offs,
            cron=Cron(self.registry, self.jobs, clock),
            config_vars=ConfigVars(self.registry, launcher, self.turns, switch),
            refs=refs,
            formations=formations,
            freezes=freezes,
            experiments=experiments,
            twins=Twins(self.registry, self.reconciler, launcher, self.turns, switch, refs, experiments),
            metrics=metrics,
            planning=planning,
            promotions=promotions,
            merges=merges,
            previews=Previews(self.registry, self.reconciler, _new_preview_key),
            reports=reports,
            daily_looks=DailyLooks(self.registry, reports, clock, settings.timezone),
            split_details=SplitDetails(self.registry, self.ledger, clock, settings.timezone),
            raw_stats=RawStats(self.registry, self.ledger, clock, settings.timezone),
            event_rows=EventRows(self.registry, self.ledger, clock, settings.timezone, settings.data_dir / "spool"),
            ledger=self.ledger,
            ledger_state=self.ledger_life.state,
            proxy=self.proxy_life,
            domain=settings.domain,
            site=site,
            token=await _operator_token(settings.token_file, self.registry),
            spool=settings.data_dir / "spool",
            disk=self.disk,
            upgrade=upgrade,
            trusted_proxies=settings.trusted_proxies,
            hooks=self.hooks,
        )

    def _key_file(self, url: str) -> AuthorizedKeys:
        data = str(self._settings.data_dir)
        here = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//:::", "//[::1]:")
        command = ("env", f"BALANCER_DATA_DIR={data}", f"BALANCER_URL={here}", sys.executable, "-m", "balancer")
        return AuthorizedKeys(self._settings.authorized_keys, platform=data, command=(*command, "ssh-serve"))


async def _operator_token(file: Path, registry: Registry) -> str:
    token = data_directory.secret(file, new_token)
    await registry.put_token(OPERATORS_OWN, digest(token))
    return token


def _new_preview_key() -> PreviewKey:
    return PreviewKey(f"p{secrets.token_hex(8)}")
