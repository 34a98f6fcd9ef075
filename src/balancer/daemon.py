"""The daemon: starts the parts in order, and stops them in the other one.

Invariants:
    * One daemon on a data directory, also while it becomes what is installed now.
    * Asked to stop, it drains and stops everything; killed, it leaves HAProxy, the ledger and all instances serving.
    * At start it finds what runs, and starts only what does not.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from balancer import __version__, data_directory, logs
from balancer.api.app import build
from balancer.api.platform import Platform
from balancer.api.server import Server, listen, listen_for_hooks
from balancer.api.warm import warm_up
from balancer.config import Settings
from balancer.domain.routing import route_table
from balancer.errors import HostUnfit, ProxyFailed, UpgradeRefused
from balancer.handover import Handover, hold_signals, installed_version, release_signals
from balancer.proxy.installed import find_executable
from balancer.services.probation import Probation
from balancer.wiring import Wiring, clock

log = logs.named("daemon")
_DRAIN_SECONDS, _STOP_GRACE_SECONDS = 10.0, 10.0
# 10 s: most apps are there after one; a site with one that is not must not wait for it.
_WARM_UP_SECONDS = 10.0


def serve(settings: Settings, announce: Callable[[str, str], None]) -> None:
    """Run the platform until SIGTERM or SIGINT; `announce` is told the URLs of the site and the admin API.

    On SIGHUP, and where the admin API asks for it, the process becomes what is installed now; this does not return.
    Raises HostUnfit and what is below it, ProxyFailed.
    """
    received = Handover.received()
    executable = find_executable(settings.haproxy)
    data_directory.prepare(settings.data_dir)
    with data_directory.alone(settings.data_dir, "daemon", received.lock) as lock:
        data_directory.clear_spool(settings.data_dir)
        handover = asyncio.run(_Daemon(settings, executable, received).run(announce))
        if handover is not None:
            replace(handover, lock=lock).execute()


class _Daemon:
    """One run of the daemon."""

    def __init__(self, settings: Settings, executable: str, received: Handover) -> None:
        self._settings = settings
        self._received = received
        self._stop, self._upgrade = asyncio.Event(), asyncio.Event()
        self._parts = Wiring(settings, executable, self._received.site)

    async def run(self, announce: Callable[[str, str], None]) -> Handover | None:
        """Start everything, serve until told to stop, stop everything; leave it all serving if something breaks.

        Returns what to hand over where it was told to be replaced: then everything serves on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        hangups: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGHUP, lambda: hangups.add(asyncio.ensure_future(self._on_hangup())))
        release_signals()
        admin = self._listen()
        background: list[asyncio.Task[None]] = []
        keeping = asyncio.create_task(self._parts.log_keeper.run())  # as long as anything may print
        try:
            await self._begin()
            url = f"http://{self._settings.admin_host}:{admin.getsockname()[1]}"
            platform = await self._parts.platform(url, self._ask_for_upgrade)
            hooks = listen_for_hooks(self._parts.hooks)
            app = build(platform)
            warm_up(app)
            server = Server(app, admin=admin, hooks=hooks, busy=lambda: self._parts.turns.taken)
            background = self._set_to_work(platform, server)
            self._parts.reconciler.wake()
            for each in await self._parts.registry.apps():
                await platform.refs.settle_at_start(each.name)
            site = f"http://{self._settings.domain}{platform.site}"
            await platform.keys.publish()
            log.info(
                "daemon.ready",
                version=__version__,
                pid=os.getpid(),
                site=site,
                admin=url,
                data_dir=str(self._settings.data_dir),
            )
            announce(site, url)
            await _first((self._stop, self._upgrade), *background)
            if self._upgrade.is_set() and (handover := await self._hand_over(server, platform, background)):
                return handover
            log.info("daemon.stopping")
            server.should_exit = True
            await platform.pulls.end()
            await self._end(background)
        except BaseException:
            self._abandon()
            raise
        finally:
            await _cancelled([*background, keeping])
            self._parts.spool.close()
            await self._parts.registry.close()
        log.info("daemon.stopped")
        return None

    def _set_to_work(self, platform: Platform, server: Server) -> list[asyncio.Task[None]]:
        """Begin what goes on as long as we run; the server is the last of them."""
        parts = self._parts
        probation = Probation(parts.registry, parts.supervisor, platform.rollbacks, parts.stamps, clock=clock)

        def on_exit() -> None:
            parts.reconciler.wake()
            probation.wake()

        parts.supervisor.on_exit = on_exit
        parts.proxy_life.on_start = parts.reconciler.wake
        work = (
            parts.disk.watch(),
            parts.deliveries.run(),
            parts.reconciler.run(),
            probation.run(),
            platform.cron.run(),
            platform.daily_looks.run(),
            platform.rollouts.run(),
            platform.rates.run(),
            platform.lights.run(),
            platform.bandits.run(),
            parts.prober.run(),
            parts.retention.run(),
            parts.proxy_life.keep_alive(),
            parts.ledger_life.keep_alive(),
            server.run_until_told(),
        )
        return [asyncio.create_task(each) for each in work]

    def _listen(self) -> socket.socket:
        admin, port = self._received.admin, self._settings.admin_port
        if admin is not None and port in (0, admin.getsockname()[1]):
            return admin
        if admin is not None:
            admin.close()  # the setting is another one now
        return listen(self._settings.admin_host, port)

    async def _hand_over(
        self, server: Server, platform: Platform, background: list[asyncio.Task[None]]
    ) -> Handover | None:
        """Finish what is under way, leave everything serving, and return what the next code needs.

        None where we are told to stop meanwhile.
        """
        finishing = asyncio.create_task(server.finish())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((finishing, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stop.is_set():
            finishing.cancel()
            return None
        hold_signals()
        handover = Handover(admin=finishing.result(), site=self._parts.proxy_life.sockets())
        await server.end(background[-1])
        await platform.pulls.end()
        await _cancelled(background)
        self._abandon()
        return handover

    async def _ask_for_upgrade(self) -> str:
        """Begin to be replaced, and return the version that comes. Raises UpgradeRefused."""
        version = await installed_version()
        try:  # the code that comes looks for HAProxy first, and would end without it
            await asyncio.to_thread(find_executable, self._settings.haproxy)
        except HostUnfit as reason:
            raise UpgradeRefused(str(reason)) from reason
        log.info("daemon.upgrading", before=__version__, after=version)
        self._upgrade.set()
        return version

    async def _on_hangup(self) -> None:
        try:
            await self._ask_for_upgrade()
        except UpgradeRefused as reason:
            log.error("daemon.upgrade.refused", reason=str(reason))

    async def _begin(self) -> None:
        self._parts.builder.kill_orphans()
        await asyncio.to_thread(self._parts.repositories.sweep)
        self._parts.one_offs.kill_all()
        snapshot = await self._parts.reconciler.take_over()
        await self._parts.supervisor.adopt(snapshot.instances)
        table = route_table(snapshot, self._settings.domain)
        await self._parts.proxy_life.begin(table, lambda: self._parts.reconciler.warm_up(_WARM_UP_SECONDS))
        await self._parts.ledger_life.begin()
        try:
            await self._parts.reconciler.converge()
        except ProxyFailed as reason:  # HAProxy died just now: it comes back, and the reconciler asks again
            log.warning("daemon.proxy.late", reason=str(reason))
        await self._parts.proxy_life.renew_if_other()

    async def _end(self, background: list[asyncio.Task[None]]) -> None:
        await _cancelled(background[:-1])  # all but the server, which ends by itself
        await self._parts.proxy_life.end(_DRAIN_SECONDS)
        self._parts.one_offs.kill_all()
        await self._parts.jobs.stop_all(_STOP_GRACE_SECONDS)
        await self._parts.supervisor.stop_all(_STOP_GRACE_SECONDS)
        await self._parts.ledger_life.end()

    def _abandon(self) -> None:
        self._parts.supervisor.abandon()
        self._parts.jobs.abandon()
        self._parts.proxy_life.abandon()
        self._parts.ledger_life.abandon()


async def _first(asked: Iterable[asyncio.Event], *tasks: asyncio.Task[None]) -> None:
    """Return when the first of the events is set; raise what a task broke with."""
    waits = [asyncio.create_task(event.wait()) for event in asked]
    done, _ = await asyncio.wait((*waits, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    for task in done:
        task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
