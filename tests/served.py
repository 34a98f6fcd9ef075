"""The admin API of a platform in one process, served on the loopback as the daemon serves it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import httpx
import uvicorn
from fastapi import APIRouter

from balancer.api.app import build
from balancer.api.platform import Platform
from balancer.domain.calendar import TimeZone
from balancer.domain.token import OPERATORS_OWN, digest
from balancer.errors import UpgradeRefused
from balancer.post.courier import Courier
from balancer.proxy.accesslog import read_line
from balancer.proxy.runtime import Worker
from balancer.runner.authorized_keys import AuthorizedKeys
from balancer.runner.disk import Disk
from balancer.runner.one_off import OneOffs
from balancer.services.acceptance import Acceptance
from balancer.services.app_detail import AppDetails
from balancer.services.apps import Apps
from balancer.services.attempts import Attempts
from balancer.services.audit import Audit
from balancer.services.daily import DailyLooks
from balancer.services.event_rows import EventRows
from balancer.services.keys import Keys
from balancer.services.lights import Lights
from balancer.services.loads import Loads
from balancer.services.merges import Merges
from balancer.services.overview import Overviews
from balancer.services.planning import Planning
from balancer.services.pulse import Pulse
from balancer.services.rates import Rates
from balancer.services.raw_stats import RawStats
from balancer.services.reports import Reports
from balancer.services.rollout_planning import RolloutPlanning
from balancer.services.schedule import Schedules
from balancer.services.sessions import Sessions
from balancer.services.sign_in_links import SignInLinks
from balancer.services.split_detail import SplitDetails
from balancer.services.targets import Targets
from balancer.services.tokens import Tokens, new_token
from balancer.services.undertakings import Undertakings
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_life import LedgerLife
from balancer.store.spool import Spool
from balancer.testing import FakeProxy
from platforms import InProcess, in_process
from running import Repository
from values import LOCALHOST
from waiting import eventually

# Else each client loads the certificates of all authorities, which takes 80 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UTC = TimeZone("UTC")


@dataclass(frozen=True)
class Served:
    """A platform, where its API is, and a token for it."""

    platform: InProcess
    url: str
    token: str
    ledger: LedgerLife

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a client; with another token than the operator's, if one is given, without any if that is empty."""
        sent = self.token if token is None else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=20, verify=NO_TLS)

    def remote(self, app: str, token: str | None = None) -> str:
        """Return the URL to push an app to."""
        password = self.token if token is None else token
        return f"{self.url.replace('://', f'://balancer:{password}@')}/git/{app}.git"

    async def create(self, app: str = "shop") -> Repository:
        """Create an app through the API, and a developer's repository whose remote it is."""
        async with self.client() as client:
            (await client.post("/api/apps", json={"name": app})).raise_for_status()
        return await asyncio.to_thread(Repository, self.platform.directory / f"work-{app}", self.remote(app))


class _Server(uvicorn.Server):
    """uvicorn that stops at once when it is told to, and leaves signals to the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until told to stop."""
        await self.stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Plane:
    """The fake proxy, as operators see one."""

    restarts = 0

    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self._pid = 1

    async def worker(self) -> Worker:
        await self._proxy.apply(self._proxy.table)  # fails where the proxy does not answer
        return Worker(pid=self._pid, version="2.6.12", uptime_seconds=0)

    async def renew(self) -> Worker:
        self._pid += 1
        return await self.worker()


async def _refused() -> str:
    raise UpgradeRefused("tests run it")


@asynccontextmanager
async def served(
    directory: Path, *, trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (), pages: APIRouter | None = None
) -> AsyncIterator[Served]:
    """Give a platform without apps whose API is served, and `pages` with it, and end it; it reconciles meanwhile."""
    async with in_process(directory) as platform, platform.reconciling():
        token = new_token()
        await platform.registry.put_token(OPERATORS_OWN, digest(token))
        (directory / "spool").mkdir()
        client = LedgerClient(directory / "run" / "ledger.sock")
        ledger = LedgerLife(directory, client)
        disk = Disk(directory)
        courier = Courier(None, "balancer@localhost", platform.clock)
        reports = Reports(platform.registry, client, platform.clock, _UTC)
        rollouts = platform.rollouts(reports, client)
        bandits = platform.bandits(reports, client)
        planning = Planning(platform.registry, platform.metrics, platform.expectations)
        spool = Spool(directory / "spool", free_bytes=lambda: disk.free_bytes)
        rates, lights = Rates(platform.proxy, platform.clock), Lights(reports, platform.clock)
        audit = Audit(platform.registry, platform.clock, _UTC)
        merges = Merges(platform.registry, platform.repositories)
        overviews = Overviews(
            *(platform.registry, platform.supervisor, platform.workspace, rollouts, rates, lights),
            clock=platform.clock,
            domain=LOCALHOST,
            site=":8080",
        )
        app = build(
            Platform(
                rates=rates,
                lights=lights,
                overviews=overviews,
                app_details=AppDetails(
                    *(platform.registry, platform.supervisor, platform.workspace, overviews, platform.formations),
                    *(rollouts, bandits, audit, Loads(platform.supervisor, platform.clock), merges),
                    clock=platform.clock,
                ),
                pulse=Pulse(directory / "edge", read_line, platform.clock),
                undertakings=Undertakings(platform.clock),
                upgrade=_refused,
                disk=disk,
                registry=platform.registry,
                repositories=platform.repositories,
                workspace=platform.workspace,
                supervisor=platform.supervisor,
                apps=Apps(
                    platform.registry,
                    platform.repositories,
                    platform.workspace,
                    platform.reconciler,
                    platform.formations,
                    platform.turns,
                ),
                keys=Keys(
                    platform.registry, AuthorizedKeys(directory / "authorized_keys", platform="x", command=("serve",))
                ),
                targets=Targets(platform.registry, courier, platform.clock),
                tokens=Tokens(platform.registry),
                sign_in_links=SignInLinks(platform.registry, platform.clock),
                sessions=Sessions(platform.registry, Attempts(platform.clock.ticks)),
                trusted_proxies=trusted_proxies,
                audit=audit,
                branches=platform.branches,
                deploys=platform.deploys,
                arrivals=platform.arrivals,
                acceptance=Acceptance(platform.registry, spool, platform.clock),
                pulls=platform.pulls,
                rollbacks=platform.rollbacks,
                rollouts=rollouts,
                rollout_planning=RolloutPlanning(
                    *(platform.registry, rollouts, platform.expectations, planning),
                    Schedules(platform.registry, platform.clock, _UTC),
                    clock=platform.clock,
                ),
                bandits=bandits,
                config_vars=platform.config_vars,
                cron=platform.cron,
                one_offs=OneOffs(platform.workspace, data_dir=directory, config_of=platform.registry.release_config),
                refs=platform.refs,
                formations=platform.formations,
                freezes=platform.freezes,
                experiments=platform.experiments,
                metrics=platform.metrics,
                planning=planning,
                twins=platform.twins,
                promotions=platform.promotions,
                merges=merges,
                previews=platform.previews,
                reports=reports,
                daily_looks=DailyLooks(platform.registry, reports, platform.clock, _UTC),
                split_details=SplitDetails(platform.registry, client, platform.clock, TimeZone("UTC")),
                raw_stats=RawStats(platform.registry, client, platform.clock, TimeZone("UTC")),
                event_rows=EventRows(platform.registry, client, platform.clock, TimeZone("UTC"), directory / "spool"),
                ledger=client,
                ledger_state=ledger.state,
                proxy=_Plane(platform.proxy),
                domain=LOCALHOST,
                site=":8080",
                token=token,
                spool=directory / "spool",
            )
        )
        if pages is not None:
            app.include_router(pages)
        listening = socket.create_server(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", proxy_headers=False))
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        await eventually(lambda: server.started or serving.done(), 30)
        try:
            yield Served(platform, f"http://127.0.0.1:{listening.getsockname()[1]}", token, ledger)
        finally:
            server.stop.set()
            await serving
            spool.close()
            await ledger.end()
