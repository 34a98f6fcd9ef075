"""The life of the ledger process: started, found again, kept alive, ended.

Invariants:
    * A daemon that restarts finds the running ledger; one of another version, or that keeps the ledger elsewhere, is
      asked to exit, and replaced.
    * Its death costs nobody a page: it is started again and reads on where it was.
"""

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from balancer import __version__, logs, processes
from balancer.errors import LedgerUnavailable
from balancer.processes import Process
from balancer.store.engine_choice import URL_VARIABLE, shown
from balancer.store.ledger_client import LedgerClient

log = logs.named("ledger")
_MARK = "BALANCER_LEDGER"
# Half a second before the next start of one that ended at once, doubled up to 5 s.
_PAUSE_SECONDS, _PAUSE_LIMIT_SECONDS, _STEADY_SECONDS = 0.5, 5.0, 10.0
_READY_TIMEOUT_SECONDS, _POLL_SECONDS = 20.0, 0.05
_STOP_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """How the ledger is."""

    words: str
    """`running`, or why it does not answer."""
    lost_lines: int | None
    """Lines of the edge log that were lost since the ledger began; None where it does not answer."""


class LedgerLife:
    """Keeps the ledger of one data directory alive."""

    def __init__(self, data_dir: Path, client: LedgerClient, url: str = "") -> None:
        """Keep the ledger at `url`, the setting `ledger_url`, or embedded where it is empty."""
        self._data_dir = data_dir
        self._client = client
        self._url = url
        self._process: Process | None = None

    async def begin(self) -> None:
        """Find the running ledger or start one, and wait until it answers, for a while."""
        await self._find_or_start()
        await self._wait_until_ready()

    async def keep_alive(self) -> None:
        """Start the ledger again whenever it ends; runs until cancelled."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            assert self._process is not None, "begin comes first"
            began = loop.time()
            ending = await self._process.wait()
            pause = (
                0.0
                if loop.time() - began > _STEADY_SECONDS
                else min(max(pause * 2, _PAUSE_SECONDS), _PAUSE_LIMIT_SECONDS)
            )
            log.warning("ledger.ended", ending=str(ending), restart_after_seconds=pause)
            await asyncio.sleep(pause)
            # Looked for again: one that a daemon before us had only just begun was not found at our start, for a
            # process has the environment of its program only once it executes that. It has the lock.
            await self._find_or_start()

    async def end(self) -> None:
        """Stop the ledger, after what it is loading."""
        if self._process:
            await self._process.stop(_STOP_GRACE_SECONDS)

    def abandon(self) -> None:
        """Leave the ledger to itself, working."""
        if self._process:
            self._process.forget()

    async def state(self) -> LedgerState:
        """Return how it is."""
        try:
            pong = await self._client.ping()
        except LedgerUnavailable as reason:
            return LedgerState(words=str(reason), lost_lines=None)
        late = "" if pong.behind_bytes < 1_000_000 else f", {pong.behind_bytes} bytes behind"
        return LedgerState(words=f"running{late}", lost_lines=pong.lost_lines)

    async def _find_or_start(self) -> None:
        identity = processes.find(_MARK, str(self._data_dir))
        self._process = Process.adopt(identity) if identity else None
        if self._process:
            await self._replace_another(self._process)
        if self._process:
            log.info("ledger.adopted", pid=self._process.id.pid)
        else:
            self._start()

    def _start(self) -> None:
        (self._data_dir / "log").mkdir(exist_ok=True)
        self._process = Process.spawn(
            [sys.executable, "-m", "balancer.ledgerd", str(self._data_dir)],
            directory=self._data_dir,
            environment={**os.environ, _MARK: str(self._data_dir), URL_VARIABLE: self._url},
            output=self._data_dir / "log" / "ledger.log",
        )
        log.info("ledger.spawned", pid=self._process.id.pid)

    async def _replace_another(self, process: Process) -> None:
        try:
            pong = await self._client.ping()
            if (pong.version, pong.engine) == (__version__, shown(self._url)):
                return
        except LedgerUnavailable:
            pass  # one that does not answer is replaced as well
        with contextlib.suppress(LedgerUnavailable):
            await self._client.stop()
        await process.stop(_STOP_GRACE_SECONDS)
        self._process = None

    async def _wait_until_ready(self) -> None:
        """Return when the ledger answers; a slow one is only mentioned, since the site does not need it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                while True:
                    try:
                        await self._client.ping()
                    except LedgerUnavailable:
                        await asyncio.sleep(_POLL_SECONDS)
                    else:
                        return
        log.warning("ledger.slow", waited_seconds=_READY_TIMEOUT_SECONDS)
