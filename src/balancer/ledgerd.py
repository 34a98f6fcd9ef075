"""The ledger process: reads the edge log and the spool, has the engine, answers questions.

Invariants:
    * One of them on a data directory; the lock ends with the process, however it ends.
    * Killed at any moment, it reads on where it was: no line is lost and none is in twice.
    * A question never waits for loading, nor loading for a question.

Started by the daemon as a process of its own (`python -m balancer.ledgerd DATA_DIR`), so that a long report
never stalls a deploy, and left running when the daemon ends.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from balancer import __version__, data_directory, logs
from balancer.domain.event_row import Form
from balancer.errors import BalancerError, InvalidInput, LedgerUnavailable
from balancer.proxy import accesslog
from balancer.services.collect import Collector, Source, edge_source
from balancer.sockets import short_path
from balancer.store import spool_lines
from balancer.store.engine_choice import URL_VARIABLE, shown
from balancer.store.engines import Engine, open_engine
from balancer.store.ledger_wire import (
    Ask,
    AskAffected,
    AskCells,
    AskDistribution,
    AskErase,
    AskExport,
    AskImport,
    AskIntake,
    AskNames,
    AskNewest,
    AskPing,
    AskRaw,
    AskReleases,
    AskRemove,
    AskStop,
    Failure,
    Pong,
    Stopping,
)

log = logs.named("ledger")
T = TypeVar("T")

# 0.25 s: what a visitor did is in a report before anyone has reloaded it. As long it waits behind a batch that was
# small, because a transaction costs 12 ms of CPU whatever is in it: what comes meanwhile is taken in with it.
_IDLE_SECONDS = 0.25
# 1 MiB: 3,000 lines of the edge log, which take thrice as long as the transaction.
_WORTH_BYTES = 1 << 20
# 5 failures in a row, over half a minute: a full disk or a short memory may pass; where the engine itself is
# broken, a new process is the remedy.
_FAILURES_LIMIT = 5
# 2 at a time: more would only share the two threads and the memory that the engine has.
_QUESTIONS_AT_ONCE = 2
# 32 MiB: 10,000 rows that are brought in, with their dims.
_ASK_LIMIT_BYTES = 32 << 20
# 60 s: a connection on which nobody asks, or that nobody reads, is closed.
_CONNECTION_SECONDS = 60.0

_ASK: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)


def run(data_dir: Path, url: str = "") -> None:
    """Serve until asked to stop, by SIGTERM, SIGINT or over the socket; the ledger is kept at `url`, or embedded.

    Raises:
        DataDirectoryInUse: another ledger has the lock.
        InvalidName: `url` is no URL of a ledger.
    """
    data_directory.prepare(data_dir)
    with data_directory.alone(data_dir, "ledger"):
        asyncio.run(_serve(data_dir, url))


async def _serve(data_dir: Path, url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ledger = open_engine(data_dir, url)
    edge = edge_source(data_dir / "edge", accesslog.read_line)
    spool = Source(
        directory=data_dir / "spool",
        pattern=f"*{spool_lines.SUFFIX}",
        read_line=spool_lines.read_line,
        longest_line_bytes=spool_lines.LONGEST_LINE_BYTES,
    )
    collector = Collector(sources=(edge, spool), refused=data_dir / "refused", engine=ledger)
    desk = _Desk(ledger, collector, stop, shown(url))
    ended = threading.Event()
    with _listening_socket(data_dir / "run" / "ledger.sock") as listening:
        server = await asyncio.start_unix_server(desk.attend, sock=listening, limit=_ASK_LIMIT_BYTES)
        collecting = asyncio.create_task(asyncio.to_thread(_collect, collector, ended))
        collecting.add_done_callback(lambda _: stop.set())
        log.info(
            "ledger.started",
            version=__version__,
            pid=os.getpid(),
            behind_bytes=collector.behind_bytes(),
            engine=shown(url),
        )
        await stop.wait()
        server.close()
        ended.set()
        try:
            await collecting
        finally:
            ledger.close()
    log.info("ledger.stopped", pid=os.getpid())


def _collect(collector: Collector, ended: threading.Event) -> None:
    """Take in batch after batch until `ended`; what fails is tried again, with growing pauses."""
    failures = 0
    while not ended.is_set():
        try:
            pause = 0.0 if collector.collect() >= _WORTH_BYTES else _IDLE_SECONDS
            failures = 0
        except Exception as error:
            failures += 1
            log.error("collect.failed", failures=failures, error=error)
            if failures >= _FAILURES_LIMIT and not isinstance(error, LedgerUnavailable):
                raise  # an engine elsewhere is not mended by another process here
            pause = 2.0 ** min(failures, _FAILURES_LIMIT)
        if pause:
            ended.wait(pause)


class _Desk:
    """Answers whoever connects."""

    def __init__(self, ledger: Engine, collector: Collector, stop: asyncio.Event, engine: str) -> None:
        self._ledger = ledger
        self._collector = collector
        self._stop = stop
        self._engine = engine
        self._turn = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked on one connection, in its order."""
        try:
            while line := await _within(reader.readline()):
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await _within(writer.drain())
        except (OSError, ValueError, TimeoutError, asyncio.CancelledError):
            pass  # it went away, asked too much at once, or was silent; or we are ending
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> object:
        try:
            match _ask(line):
                case AskReleases(app, split, phases, variants, marks):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.releases, app, split, phases, variants, marks)
                case AskCells(question):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.cells, question)
                case AskAffected(question):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.affected, question)
                case AskDistribution(question):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.distribution, question)
                case AskNames(app):
                    return await asyncio.to_thread(self._ledger.names, app)
                case AskRaw(question):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.raw, question)
                case AskNewest(app, event, after, limit):
                    return await asyncio.to_thread(self._ledger.newest, app, event, after, limit)
                case AskExport(app, path, form, since, until):
                    async with self._turn:
                        return await asyncio.to_thread(self._ledger.export, Path(path), app, Form(form), since, until)
                case AskImport(app, rows):
                    return await asyncio.to_thread(self._ledger.bring_in, app, rows)
                case AskErase(app, visitor):
                    return await asyncio.to_thread(self._ledger.erase, app, visitor)
                case AskRemove(kept_since, otherwise):
                    return await asyncio.to_thread(self._ledger.remove_before, kept_since, otherwise)
                case AskIntake(app):
                    return await asyncio.to_thread(self._ledger.intake, app)
                case AskPing():
                    behind_bytes = await asyncio.to_thread(self._collector.behind_bytes)
                    lost_lines = self._collector.lost()
                    return Pong(
                        version=__version__,
                        pid=os.getpid(),
                        behind_bytes=behind_bytes,
                        lost_lines=lost_lines,
                        engine=self._engine,
                    )
                case AskStop():
                    self._stop.set()
                    return Stopping(pid=os.getpid())
        except BalancerError as error:
            return Failure(error=error.code(), message=str(error))
        except Exception as error:  # noqa: BLE001 # one bad question must not end the process
            log.error("ledger.question_failed", error=error)
            failed = LedgerUnavailable(type(error).__name__)
            return Failure(error=failed.code(), message=str(failed))


async def _within(work: Awaitable[T]) -> T:
    async with asyncio.timeout(_CONNECTION_SECONDS):
        return await work


def _ask(line: bytes) -> Ask:
    try:
        return _ASK.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"{line[:60]!r} is no question to the ledger: {error}") from error


@contextlib.contextmanager
def _listening_socket(path: Path) -> Iterator[socket.socket]:
    """Give a socket bound at `path`, which only our user may open; whoever has the lock may replace it."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        with short_path(path) as short:
            listening.bind(short)
        path.chmod(0o600)  # before it listens, so nobody was let in meanwhile
        yield listening
        path.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Run as a process of its own, and return its exit status."""
    if len(arguments) != 1:
        print("usage: python -m balancer.ledgerd DATA_DIR", file=sys.stderr)  # noqa: T201 # there is no log yet
        return InvalidInput.exit_code
    logs.start()
    os.umask(0o077)  # what visitors did is nobody else's
    try:
        run(Path(arguments[0]), os.environ.get(URL_VARIABLE, ""))
    except BalancerError as error:
        log.error("ledger.refused", reason=str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 # the last edge: into the log, with its traceback
        log.error("ledger.died", error=error)
        return BalancerError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
