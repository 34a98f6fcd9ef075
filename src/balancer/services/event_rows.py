"""The rows of the ledger, for people: watched as they come, brought out, brought in, a visitor's taken out.

Invariants:
    * A file that is brought out is whole, or there is none.
    * What is brought in is in before it is answered; bringing it in again changes nothing.
    * The log tells that a visitor was erased, and never which one.

Used by the admin API.
"""

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone, moment
from balancer.domain.entry import Reason
from balancer.domain.event import VisitorId
from balancer.domain.event_row import Erased, EventRow, Exported, Imported, Tail
from balancer.domain.import_row import IMPORT_FORM, RowRefused, read_row
from balancer.errors import InvalidInput, LedgerUnavailable
from balancer.services.registry import Registry
from balancer.services.time_zone import zone_of

log = logs.named("events")
# 10,000: what the ledger takes in within a second, also where it is busy.
IMPORT_LIMIT = 10_000
# 0.5 s: who watches sees an event a moment after it happened, and a watcher costs the ledger next to nothing.
_FOLLOW_SECONDS = 0.5
# 1,000 in half a second: more nobody can read.
_FOLLOW_ROWS = 1000


class Ledger(Protocol):
    """What has the rows."""

    async def newest(self, app: str, event: str | None, after: int | None, limit: int) -> Tail:
        """Return the newest rows of an app, of those that arrived after a cursor. Raises LedgerUnavailable."""

    async def export(self, app: str, path: Path, form: str, since: int | None, until: int | None) -> Exported:
        """Write the rows of an app to a new file. Raises LedgerUnavailable."""

    async def bring_in(self, app: str, rows: Sequence[EventRow]) -> Imported:
        """Take in rows that were checked, each with an id. Raises LedgerUnavailable."""

    async def erase(self, app: str | None, visitor: str) -> Erased:
        """Take out every row of a visitor, of one app or of all. Raises LedgerUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row of an import that is not right."""

    index: int
    """Its place among the rows that were sent, from 0 on."""
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRows:
    """What became of the rows that were sent."""

    accepted: int
    duplicate: int
    """They were there already."""
    erased: int
    """Of visitors who were erased since."""
    refused: tuple[RefusedRow, ...]


class EventRows:
    """The rows of every app."""

    def __init__(
        self, registry: Registry, ledger: Ledger, clock: Callable[[], datetime], zone: TimeZone, directory: Path
    ) -> None:
        """Write what is brought out to `directory`, for as long as it is sent; dates are of an app's zone or `zone`."""
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._zone = zone
        self._directory = directory

    async def newest(self, app: AppName, event: str | None, limit: int) -> Tail:
        """Return the newest rows of an app. Raises AppNotFound, LedgerUnavailable."""
        await self._registry.app(app)
        return await self._ledger.newest(app, event, None, limit)

    async def follow(self, app: AppName, event: str | None, seen: Tail) -> AsyncIterator[Tail]:
        """Give what comes after `seen`, as long as it is asked for; a ledger that is started again is waited for."""
        cursor = seen.cursor
        while True:
            await asyncio.sleep(_FOLLOW_SECONDS)
            try:
                found = await self._ledger.newest(app, event, cursor, _FOLLOW_ROWS)
            except LedgerUnavailable:
                continue
            cursor = max(cursor, found.cursor)
            if found.rows:
                yield found

    async def export(self, app: AppName, form: str, since: str | None, until: str | None) -> tuple[Path, Exported]:
        """Write the rows of an app to a file, which is the caller's to remove.

        Raises AppNotFound, InvalidInput, LedgerUnavailable.
        """
        zone = await zone_of(self._registry, app, self._zone)
        first = None if since is None else moment(zone, since)
        last = None if until is None else moment(zone, until, end=True)
        path = self._directory / f"export-{secrets.token_hex(8)}"
        try:
            return path, await self._ledger.export(app, path, form, first, last)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def bring_in(self, app: AppName, lines: bytes, *, name: str, first: int) -> ImportedRows:
        """Take in rows, a JSON object a line; the first is the row `first` of the import `name`.

        Raises AppNotFound, InvalidInput, LedgerUnavailable.
        """
        await self._registry.app(app)
        if not IMPORT_FORM.fullmatch(name) or not 0 <= first < 1 << 40:
            raise InvalidInput(
                f"the import {name[:60]!r} is no name for one: 8 to 40 letters and digits, the same again"
            )
        now = round(self._clock().timestamp() * 1000)
        rows, refused = await asyncio.to_thread(_checked, lines, name, first, now)
        done = await self._ledger.bring_in(app, rows) if rows else Imported()
        log.info("events.imported", app=app, rows=done.accepted, duplicate=done.duplicate, refused=len(refused))
        return ImportedRows(
            accepted=done.accepted, duplicate=done.duplicate, erased=done.erased, refused=tuple(refused)
        )

    async def erase(self, app: AppName | None, visitor: VisitorId, *, by: str) -> Erased:
        """Take out all that is known of a visitor, of one app or of all. Raises AppNotFound, LedgerUnavailable."""
        if app is not None:
            await self._registry.app(app)
        erased = await self._ledger.erase(app, visitor)
        log.info("visitor.erased", app=app or "all", rows=erased.events, exposures=erased.exposures, by=by)
        return erased


def _checked(lines: bytes, name: str, first: int, now: int) -> tuple[list[EventRow], list[RefusedRow]]:
    rows: list[EventRow] = []
    refused: list[RefusedRow] = []
    counted = Counter[str]()
    for index, said in enumerate(_objects(lines)):
        try:
            if isinstance(said, RowRefused):
                raise said
            rows.append(read_row(said, name=name, number=first + index, now=now))
        except RowRefused as wrong:
            refused.append(RefusedRow(index=index, reason=wrong.reason, message=str(wrong)))
        counted["rows"] += 1
        if counted["rows"] > IMPORT_LIMIT:
            raise InvalidInput(f"more than {IMPORT_LIMIT} rows at once; send them in several parts")
    return rows, refused


def _objects(lines: bytes) -> Iterator[object]:
    for line in lines.split(b"\n"):
        if not line.strip():
            continue
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(line.decode())
            continue
        yield RowRefused(Reason.NOT_JSON, "the line is no JSON")
