"""The daemon: puts the parts together, starts them in order, and stops them in the other one.

Invariants:
    * One daemon on a data directory.
    * Asked to stop, it drains and stops everything; killed, it leaves HAProxy, the ledger and all instances serving.
    * At start it finds what runs, and starts only what does not.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.fernet import Fernet

from balancer import data_directory, logs
from balancer.api import access
from balancer.api.app import build
from balancer.api.platform import Platform
from balancer.config import Settings
from balancer.domain.routing import route_table
from balancer.errors import PortTaken, ProxyFailed
from balancer.proxy.haproxy import HAProxy
from balancer.proxy.life import ProxyLife, find_executable
from balancer.runner.build import Builder
from balancer.runner.git import Repositories
from balancer.runner.ports import Ports
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.services.apps import Apps
from balancer.services.deploy import Deploys
from balancer.services.experiment import Experiments
from balancer.services.interfaces import Registry
from balancer.services.reconcile import Reconciler
from balancer.services.report import Reports
from balancer.store.database import default_url, open_database
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_life import LedgerLife
from balancer.store.registry import SqlRegistry

log = logs.named("daemon")
_DRAIN_SECONDS, _STOP_GRACE_SECONDS = 10.0, 10.0
# 10 s: most apps are there after one; a site with one that is not must not wait for it.
_WARM_UP_SECONDS = 10.0
# 20,000: with two sockets a connection and some for checks, what 50,000 file descriptors carry.
_CONNECTIONS_LIMIT = 20_000
# Our own log instead of uvicorn's; and what a client says of where it comes from counts for nothing.
_QUIET: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "lifespan": "off",
    "proxy_headers": False,
    "server_header": False,
}
_TOKEN_NAME = "operator"  # noqa: S105 - its name, not the token


def serve(settings: Settings, announce: Callable[[str, str], None]) -> None:
    """Run the platform until SIGTERM or SIGINT; `announce` is told the URLs of the site and the admin API.

    Raises HostUnfit and what is below it, ProxyFailed.
    """
    executable = find_executable(settings.haproxy)
    data_directory.prepare(settings.data_dir)
    with data_directory.alone(settings.data_dir, "daemon"):
        asyncio.run(_Daemon(settings, executable).run(announce))


class _Daemon:
    """One run of the daemon."""

    def __init__(self, settings: Settings, executable: str) -> None:
        self._settings = settings
        data = settings.data_dir
        self._registry = SqlRegistry(open_database(default_url(data)), _now, _cipher(data))
        self._workspace = Workspace(data / "releases")
        self._repositories = Repositories(
            data / "repositories",
            python=sys.executable,
            hook_script=Path(__file__).parent / "runner" / "update_hook.py",
        )
        self._supervisor = Supervisor(
            self._workspace,
            domain=settings.domain,
            clock=_now,
            config_of=self._registry.release_config,
            record=self._registry.record_process,
        )
        self._proxy = HAProxy(data / "haproxy", executable=executable, maxconn=_connections())
        self._proxy_life = ProxyLife(self._proxy, edge=data / "edge", host=settings.host, port=settings.port)
        self._ledger = LedgerClient(data / "run" / "ledger.sock")
        self._ledger_life = LedgerLife(data, self._ledger)
        self._reconciler = Reconciler(self._registry, self._supervisor, self._proxy, clock=_now, domain=settings.domain)

    async def run(self, announce: Callable[[str, str], None]) -> None:
        """Start everything, serve until told to stop, stop everything; leave it all serving if something breaks."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        admin = _listen(self._settings.admin_host, self._settings.admin_port)
        background: list[asyncio.Task[None]] = []
        try:
            await self._begin()
            platform = await self._platform()
            server = _Server(uvicorn.Config(build(platform), **_QUIET))
            self._supervisor.on_exit = self._reconciler.wake
            self._proxy_life.on_start = self._reconciler.wake
            background = [
                asyncio.create_task(task)
                for task in (
                    self._reconciler.run(),
                    self._proxy_life.keep_alive(),
                    self._ledger_life.keep_alive(),
                    server.serve(sockets=[admin]),
                )
            ]
            self._reconciler.wake()
            for app in await self._registry.apps():
                await platform.deploys.settle(app.name)
            site = f"http://{self._settings.domain}{platform.site}"
            url = f"http://{self._settings.admin_host}:{admin.getsockname()[1]}"
            log.info("daemon.ready", pid=os.getpid(), site=site, admin=url, data_dir=str(self._settings.data_dir))
            announce(site, url)
            await _first(asyncio.create_task(stop.wait()), *background)
            log.info("daemon.stopping")
            server.should_exit = True
            await self._end(background)
        except BaseException:
            self._abandon()
            raise
        finally:
            await _cancelled(background)
            await self._registry.close()
        log.info("daemon.stopped")

    async def _begin(self) -> None:
        snapshot = await self._reconciler.take_over()
        await self._supervisor.adopt(snapshot.instances)
        table = route_table(snapshot, self._settings.domain)
        await self._proxy_life.begin(table, lambda: self._reconciler.warm_up(_WARM_UP_SECONDS))
        await self._ledger_life.begin()
        try:
            await self._reconciler.converge()
        except ProxyFailed as reason:  # HAProxy died just now: it comes back, and the reconciler asks again
            log.warning("daemon.proxy.late", reason=str(reason))

    async def _end(self, background: list[asyncio.Task[None]]) -> None:
        await _cancelled(background[:3])
        await self._proxy_life.end(_DRAIN_SECONDS)
        await self._supervisor.stop_all(_STOP_GRACE_SECONDS)
        await self._ledger_life.end()

    def _abandon(self) -> None:
        self._supervisor.abandon()
        self._proxy_life.abandon()
        self._ledger_life.abandon()

    async def _platform(self) -> Platform:
        settings = self._settings
        site = "" if self._proxy_life.port == 80 else f":{self._proxy_life.port}"
        deploys = Deploys(
            self._registry,
            self._repositories,
            self._workspace,
            Builder(caches=settings.data_dir / "cache", timeout_seconds=settings.build_timeout_seconds),
            self._supervisor,
            self._reconciler,
            Ports(*settings.instance_port_range),
            domain=settings.domain,
            site=site,
            keep_releases=settings.keep_releases,
        )
        return Platform(
            registry=self._registry,
            repositories=self._repositories,
            workspace=self._workspace,
            supervisor=self._supervisor,
            apps=Apps(self._registry, self._repositories, self._reconciler),
            deploys=deploys,
            experiments=Experiments(self._registry, self._reconciler),
            reports=Reports(self._registry, self._ledger, _now),
            ledger=self._ledger,
            ledger_state=self._ledger_life.state,
            dropped_lines=self._proxy.dropped_lines,
            domain=settings.domain,
            site=site,
            token=await _operator_token(settings.token_file, self._registry),
            spool=settings.data_dir / "spool",
        )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon decides when it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _now() -> datetime:
    return datetime.now(UTC)


def _listen(host: str, port: int) -> socket.socket:
    admin = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    admin.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        admin.bind((host, port))
    except OSError as reason:
        admin.close()
        raise PortTaken(f"{host}:{port}", "--admin-port") from reason
    return admin


def _cipher(data_dir: Path) -> Fernet:
    return Fernet(data_directory.secret(data_dir / "secret.key", lambda: Fernet.generate_key().decode()).encode())


async def _operator_token(file: Path, registry: Registry) -> str:
    token = data_directory.secret(file, access.new_token)
    await registry.add_token(_TOKEN_NAME, access.digest(token))
    return token


def _connections() -> int:
    """Raise our own limit of file descriptors as far as we may, and return how many connections it carries."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(100, min(_CONNECTIONS_LIMIT, (hard - 200) // 2 - 100)) if hard > 0 else _CONNECTIONS_LIMIT


async def _first(*tasks: asyncio.Task[bool] | asyncio.Task[None]) -> None:
    """Return when the first of `tasks`, the stop, is done; raise what another one broke with."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if tasks[0] not in done:
        tasks[0].cancel()
    for task in done:
        task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
