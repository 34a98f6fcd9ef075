"""The engines of the ledger, made and looked into for the contract that all of them keep."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import duckdb

from balancer.domain.entry import Batch
from balancer.domain.event_row import Erased, EventRow, Exported, Form, Imported, Tail
from balancer.domain.ledger_url import LedgerUrl
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.distribution import Distribution
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally
from balancer.store.clickhouse_ledger import ClickHouseLedger
from balancer.store.ledger import DuckLedger
from clickhouses import Servers

Stored = tuple[object, ...]
_COLUMNS = "split, phase, variant, release, visitor, assigned_at, name, value, ts, event_id, source, stood_in, dims"
_DUCK_ROWS = f"""
SELECT app.word AS app, {_COLUMNS.replace("name", "name.word").replace("source", "source.word")}
FROM events JOIN words AS app ON app.id = events.app JOIN words AS name ON name.id = events.name
JOIN words AS source ON source.id = events.source
"""


class Engine(Protocol):
    """What both can do."""

    def offsets(self) -> Mapping[str, int]: ...
    def expected(self) -> Mapping[str, dict[int, int]]: ...
    def lost(self) -> int: ...
    def load(self, batch: Batch, file: str, offset: int) -> None: ...
    def forget(self, file: str) -> None: ...
    def intake(self, app: str) -> Intake: ...
    def cells(self, question: SplitQuestion) -> SplitCells: ...
    def affected(self, question: AffectedQuestion) -> Affected: ...
    def distribution(self, question: SplitQuestion) -> Distribution: ...
    def names(self, app: str) -> EventNames: ...
    def releases(
        self, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally: ...
    def raw(self, question: RawQuestion) -> RawCells: ...
    def export(self, path: Path, app: str, form: Form, since: int | None, until: int | None) -> Exported: ...
    def newest(self, app: str, event: str | None, after: int | None, limit: int) -> Tail: ...
    def bring_in(self, app: str, rows: Sequence[EventRow]) -> Imported: ...
    def erase(self, app: str | None, visitor: str) -> Erased: ...
    def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> Mapping[str, Erased]: ...
    def close(self) -> None: ...


class Site(Protocol):
    """Where one ledger is kept."""

    def open(self) -> Engine:
        """Return the engine, opened (again); the one before is closed."""

    def anew(self) -> Engine:
        """Return the engine, opened, with no batch that arrives later than what comes."""

    def rows(self) -> list[Stored]:
        """Return the events in the tables, in some order that is the same everywhere; closes the engine."""


class Embedded:
    """A DuckDB file."""

    def __init__(self, directory: Path, now: Callable[[], int]) -> None:
        self._path = directory / "ledger.duckdb"
        self._now = now
        self._engine: DuckLedger | None = None

    def open(self) -> DuckLedger:
        self.close()
        self._engine = DuckLedger(self._path, self._now)
        return self._engine

    def anew(self) -> DuckLedger:
        self.close()
        self._path.unlink(missing_ok=True)
        return self.open()

    def rows(self) -> list[Stored]:
        self.close()
        with duckdb.connect(str(self._path)) as connection:
            found = connection.execute(_DUCK_ROWS).fetchall()
        return sorted(((*row[:5], str(row[5]), *row[6:]) for row in found), key=repr)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class ClickHouse:
    """A database of its own on some servers."""

    def __init__(self, servers: Servers, now: Callable[[], int], url: str | None = None) -> None:
        self._servers = servers
        self.url = url or servers.url()
        self._now = now
        self._engine: ClickHouseLedger | None = None

    def open(self) -> ClickHouseLedger:
        self.close()
        self._engine = ClickHouseLedger(LedgerUrl.parse(self.url), self._now)
        return self._engine

    def anew(self) -> ClickHouseLedger:
        return self.open()

    def rows(self) -> list[Stored]:
        database = LedgerUrl.parse(self.url).database
        found: list[Stored] = []
        for server in self._servers.servers:
            said = server.ask(
                f"SELECT app, {_COLUMNS} FROM {database}.events FORMAT JSONCompact"
                " SETTINGS output_format_json_quote_64bit_integers = 0"
                if server.ask("SELECT version()") >= "2"
                else f"SELECT app, {_COLUMNS} FROM {database}.events FORMAT JSONCompact"
            )
            for row in json.loads(said)["data"]:
                app, split, phase, variant, release, visitor, assigned_at, *rest = row
                name, value, ts, event_id, source, stood_in, dims = rest
                release, assigned_at, ts = (None if n is None else int(n) for n in (release, assigned_at, ts))
                found.append(
                    (app, split, phase, variant, release, visitor, assigned_at, name, value, ts, event_id, source,
                     bool(stood_in), dims)
                )  # fmt: skip
        return sorted(found, key=repr)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


AnySite = TypeVar("AnySite", Embedded, ClickHouse)


@contextlib.contextmanager
def closing(site: AnySite) -> Iterator[AnySite]:
    """Give a site, and close it."""
    try:
        yield site
    finally:
        site.close()


def alike(found: object, wanted: object) -> bool:
    """Tell whether two answers are the same, numbers with a fraction to a billionth: sums are made in other orders."""
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    if dataclasses.is_dataclass(found) and type(found) is type(wanted):
        return all(alike(getattr(found, each.name), getattr(wanted, each.name)) for each in dataclasses.fields(found))
    return found == wanted
