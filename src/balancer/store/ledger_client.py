"""Asks the ledger process, over its unix socket.

Invariants:
    * Every wait has a deadline.
    * A connection lasts one question, so a ledger that was started again is found by the next.

Used by the daemon, as the `Ledger` of its stories and to look after the process.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from balancer.domain.event_row import Erased, EventRow, Exported, Imported, Tail
from balancer.errors import LedgerUnavailable, from_code
from balancer.sockets import short_path
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.distribution import Distribution
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally
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

# 64 MiB: the cells of hundreds of event names in dozens of cells fits; something else does not.
_ANSWER_LIMIT_BYTES = 64 << 20
# 60 s, because a report over everything on a small machine takes seconds, and may wait for another one.
_REPORT_SECONDS = 60.0
# 1 h: a file of 100 million rows; it is written as fast as the disk takes it.
_EXPORT_SECONDS = 3600.0
# 5 s: what is answered from memory, or from a table of a few rows.
_QUICK_SECONDS = 5.0

Answer = TypeVar("Answer")


class LedgerClient:
    """The ledger behind one socket; it need not be there yet."""

    def __init__(self, socket: Path) -> None:
        """Ask at `socket`, `<data directory>/run/ledger.sock`."""
        self._socket = socket

    async def releases(
        self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return visitors and events of a split by the release of the exposure. Raises LedgerUnavailable."""
        ask = AskReleases(str(app), str(split), list(phases), [str(variant) for variant in variants], list(marks))
        return await self._ask(ask, ReleaseTally, _REPORT_SECONDS)

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Raises LedgerUnavailable."""
        return await self._ask(AskCells(question), SplitCells, _REPORT_SECONDS)

    async def affected(self, question: AffectedQuestion) -> Affected:
        """Return whom the events of a question befell. Raises LedgerUnavailable."""
        return await self._ask(AskAffected(question), Affected, _REPORT_SECONDS)

    async def distribution(self, question: SplitQuestion) -> Distribution:
        """Return how the number of the one measure asked for is distributed. Raises LedgerUnavailable."""
        return await self._ask(AskDistribution(question), Distribution, _REPORT_SECONDS)

    async def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Raises LedgerUnavailable."""
        return await self._ask(AskNames(str(app)), EventNames, _QUICK_SECONDS)

    async def raw(self, question: RawQuestion) -> RawCells:
        """Return how many events there are, and of how many visitors. Raises InvalidInput, LedgerUnavailable."""
        return await self._ask(AskRaw(question), RawCells, _REPORT_SECONDS)

    async def newest(self, app: str, event: str | None, after: int | None, limit: int) -> Tail:
        """Return the newest rows of an app, of those that arrived after a cursor. Raises LedgerUnavailable."""
        return await self._ask(AskNewest(str(app), event, after, limit), Tail, _REPORT_SECONDS)

    async def export(self, app: str, path: Path, form: str, since: int | None, until: int | None) -> Exported:
        """Write the rows of an app to a new file of this machine. Raises LedgerUnavailable."""
        return await self._ask(AskExport(str(app), str(path), str(form), since, until), Exported, _EXPORT_SECONDS)

    async def bring_in(self, app: str, rows: Sequence[EventRow]) -> Imported:
        """Take in rows that were checked, each with an id; what is returned is in. Raises LedgerUnavailable."""
        return await self._ask(AskImport(str(app), list(rows)), Imported, _REPORT_SECONDS)

    async def erase(self, app: str | None, visitor: str) -> Erased:
        """Take out every row of a visitor, of one app or of all. Raises LedgerUnavailable."""
        return await self._ask(AskErase(None if app is None else str(app), str(visitor)), Erased, _REPORT_SECONDS)

    async def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
        """Take out what arrived before the times of the apps, and of all others. Raises LedgerUnavailable."""
        return await self._ask(AskRemove(dict(kept_since), otherwise), dict[str, Erased], _EXPORT_SECONDS)

    async def intake(self, app: str) -> Intake:
        """Return what was accepted, duplicate and refused of an app. Raises LedgerUnavailable."""
        return await self._ask(AskIntake(str(app)), Intake, _QUICK_SECONDS)

    async def ping(self) -> Pong:
        """Return who answers, and how far behind it is. Raises LedgerUnavailable."""
        return await self._ask(AskPing(), Pong, _QUICK_SECONDS)

    async def stop(self) -> int:
        """Ask the ledger to end, and return its pid; it is gone a moment later. Raises LedgerUnavailable."""
        return (await self._ask(AskStop(), Stopping, _QUICK_SECONDS)).pid

    async def _ask(self, ask: Ask, kind: type[Answer], seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                line = await self._exchange(msgspec.json.encode(ask) + b"\n")
            failure = msgspec.json.decode(line, type=Failure)
            if not failure.error:
                return msgspec.json.decode(line, type=kind)
        except TimeoutError as error:
            raise LedgerUnavailable(f"no answer within {seconds:g} s") from error
        except (
            OSError,
            ValueError,
        ) as error:  # nobody listens, it died meanwhile, or what it said is none of ours
            raise LedgerUnavailable(str(error)) from error
        raise from_code(failure.error, failure.message)

    async def _exchange(self, line: bytes) -> bytes:
        with short_path(self._socket) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=_ANSWER_LIMIT_BYTES)
        try:
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
        finally:
            writer.close()
        if not answer.endswith(b"\n"):
            raise ConnectionResetError("it closed the connection without an answer")
        return answer
