"""Loading, as DuckDB does it: one batch, one transaction.

Invariants:
    * A batch, the offset it was read to, the numbers of its lines and its counters are one transaction: a line is in
      once or not.
    * An event with an id counts once among seven days of arrivals, in each app.

Used by the embedded engine, in its loading thread.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType

import duckdb
import msgspec

from balancer.domain.entry import EXPOSURE, NO_APP, Batch, BatchRefused, Entry, Reason
from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased, Imported
from balancer.domain.sent import SentEvent
from balancer.store.ledger_erase import ALL_APPS, Erasures, remove_before
from balancer.store.ledger_exposures import MERGE_EXPOSURES, FirstExposure, FirstExposures
from balancer.store.ledger_names import NAMED, VALUED, count_names, recount_names
from balancer.store.ledger_sent import INSERT, SentLists, key_of
from balancer.store.ledger_words import Words

# 7 days: what users are told. A sender that repeats itself later than that is counted twice.
DEDUPLICATION_MILLISECONDS = 7 * 86_400_000
NO_SPLIT = 0
"""Stands for the split where an event belongs to a visitor alone; splits begin with 1."""
LOST = "lost"
"""The kind of what never came, of whichever app it was."""
TABLES = """
CREATE TABLE IF NOT EXISTS events (
    app INTEGER, split INTEGER, phase INTEGER, variant VARCHAR, release BIGINT,
    visitor UUID, assigned_at BIGINT, name INTEGER, value DOUBLE, ts BIGINT,
    arrived BIGINT, event_id VARCHAR, event_key BIGINT, source INTEGER, stood_in BOOLEAN);
ALTER TABLE events ADD COLUMN IF NOT EXISTS dims VARCHAR;
CREATE TABLE IF NOT EXISTS exposures (
    app INTEGER, split INTEGER, visitor UUID,
    assigned_at BIGINT, phase INTEGER, variant VARCHAR, multiple BOOLEAN);
CREATE TABLE IF NOT EXISTS offsets (file VARCHAR, "offset" BIGINT);
CREATE TABLE IF NOT EXISTS numbers (file VARCHAR, worker BIGINT, expected BIGINT);
CREATE TABLE IF NOT EXISTS intake (app VARCHAR, kind VARCHAR, reason VARCHAR, n BIGINT);
"""
"""Times are milliseconds since 1970, UTC; `multiple` marks a visitor seen in two variants. `dims` is a JSON object."""
_INSERT_EVENTS = """
INSERT INTO events BY NAME SELECT
    a AS app, s AS split, p AS phase, v AS variant, r AS release, u AS visitor, b AS assigned_at, n AS name,
    x AS value, t AS ts, $arrived AS arrived, i AS event_id, k AS event_key, o AS source, w AS stood_in,
    d AS dims
FROM read_json($file, format = 'newline_delimited', columns = {
    a: 'INTEGER', s: 'INTEGER', p: 'INTEGER', v: 'VARCHAR', r: 'BIGINT', u: 'UUID', b: 'BIGINT', n: 'INTEGER',
    x: 'DOUBLE', t: 'BIGINT', i: 'VARCHAR', k: 'BIGINT', o: 'INTEGER', w: 'BOOLEAN', d: 'VARCHAR'})
"""
_COUNT = """
MERGE INTO intake AS old USING (
    SELECT unnest($apps) AS app, unnest($kinds) AS kind, unnest($reasons) AS reason, unnest($numbers) AS n
) AS new
ON old.app = new.app AND old.kind = new.kind AND old.reason = new.reason
WHEN MATCHED THEN UPDATE SET n = old.n + new.n
WHEN NOT MATCHED THEN INSERT BY NAME
"""
_MOVE = """
MERGE INTO offsets AS old USING (SELECT $file AS file, $offset AS "offset") AS new ON old.file = new.file
WHEN MATCHED THEN UPDATE SET "offset" = new."offset"
WHEN NOT MATCHED THEN INSERT BY NAME
"""
_NUMBER = """
MERGE INTO numbers AS old USING (
    SELECT $file AS file, unnest($workers) AS worker, unnest($expected) AS expected
) AS new ON old.file = new.file AND old.worker = new.worker
WHEN MATCHED THEN UPDATE SET expected = new.expected
WHEN NOT MATCHED THEN INSERT BY NAME
"""
_KNOWN_KEYS = "SELECT event_key FROM events WHERE arrived > $since AND event_key IN (SELECT unnest($keys))"
_DATA_ERRORS = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError, duckdb.NotSupportedError)


_LETTERS = {
    "app": "a", "split": "s", "phase": "p", "variant": "v", "release": "r", "visitor": "u", "assigned_at": "b",
    "name": "n", "value": "x", "ts": "t", "event_id": "i", "event_key": "k", "source": "o", "stood_in": "w",
    "dims": "d",
}  # fmt: skip


_ENCODER = msgspec.json.Encoder()


class _Row(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename=_LETTERS):
    """An entry, as the table `events` has it.

    Short names, and nothing for what is null, because reading the text is what costs DuckDB most.
    """

    app: int
    split: int
    phase: int
    variant: str
    visitor: str
    assigned_at: int
    name: int
    ts: int
    source: int
    stood_in: bool
    release: int | None = None
    value: float | None = None
    event_id: str | None = None
    event_key: int | None = None
    dims: str | None = None


class _Numbers(msgspec.Struct, gc=False):
    """What stands for the texts that an entry shares with many of its batch, and how many there are."""

    app: int
    split: int
    name: int
    source: int
    count: int = 0
    valued: int = 0
    """How many of them have a value."""


class Loader:
    """Takes in batches, on one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the tables where they are not there, and load on `connection`."""
        connection.execute(TABLES)
        self._connection = connection
        self._words = Words(connection)
        count_names(connection)
        self._erasures = Erasures(connection)
        # In memory, because DuckDB reads JSON from files only, and takes a path for a pattern.
        self._rows_file = os.memfd_create("ledger-rows")

    def load(self, batch: Batch, file: str, offset: int, arrived: int) -> None:
        """Take in a batch that arrived at `arrived`, and with it that `file` is done up to `offset`.

        Raises:
            BatchRefused: the batch itself is at fault; nothing of it is in.
            duckdb.Error: the engine is (no space, no memory); nothing of it is in, and it may be tried again.
        """
        try:
            with self._transaction():
                self._take_in(batch, arrived)
                self._connection.execute(_MOVE, {"file": file, "offset": offset})
                if batch.expected:
                    workers, expected = list(batch.expected), list(batch.expected.values())
                    self._connection.execute(_NUMBER, {"file": file, "workers": workers, "expected": expected})
        except _DATA_ERRORS as error:
            raise BatchRefused(str(error)) from error

    def bring_in(self, batch: Batch, arrived: int) -> Imported:
        """Take in rows of a file, each of which has an id that counts once among all that ever arrived.

        Raises BatchRefused, duckdb.Error; as with `load`.
        """
        try:
            with self._transaction():
                return self._take_in(batch, arrived, known_since=0)
        except _DATA_ERRORS as error:
            raise BatchRefused(str(error)) from error

    def erase(self, app: str | None, visitor: str, now: int) -> Erased:
        """Take out a visitor of one app, or of all; what was written before `now` does not bring them back."""
        with self._transaction():
            number = ALL_APPS if app is None else self._words.app(app)
            self._words.store(self._connection)
            erased = self._erasures.erase(number, visitor, now)
            if erased.events:
                recount_names(self._connection)
        self._erasures.remember(number, visitor, now)
        return erased

    def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
        """Take out what arrived before the times of the apps."""
        with self._transaction():
            removed = remove_before(self._connection, kept_since, otherwise)
            if removed:
                recount_names(self._connection)
            return removed

    def close(self) -> None:
        """Give back what is held beside the connection."""
        os.close(self._rows_file)

    def _take_in(self, batch: Batch, arrived: int, known_since: int | None = None) -> Imported:
        counts: Counter[tuple[str, str, str]] = Counter(
            {(app, "refused", reason.value): n for (app, reason), n in batch.refused.items()}
        )
        if batch.lost:
            counts[NO_APP, LOST, ""] = batch.lost
        since = arrived - DEDUPLICATION_MILLISECONDS if known_since is None else known_since
        entries = batch.entries if self._take_in_lists(batch, since, arrived, counts) else batch.all_entries()
        keys = [None if entry.id is None else key_of(entry.app, entry.id) for entry in entries]
        known = self._known(keys, since)
        imported = Counter[str]()
        numbers: dict[tuple[str, str | None, str, EventSource], _Numbers | None] = {}
        rows: list[_Row] = []
        exposures = FirstExposures()
        for entry, key in zip(entries, keys, strict=True):
            kind = (entry.app, entry.split, entry.name, entry.source)
            if key is not None and key in known:
                counts[entry.app, "duplicate", ""] += 1
                imported["duplicate"] += 1
                continue
            try:
                told = numbers[kind]
            except KeyError:
                told = numbers[kind] = self._numbers(entry)
            if told is None:
                counts[entry.app, "refused", Reason.TOO_MANY_NAMES.value] += 1
                continue
            if self._erasures.hides(told.app, entry.visitor, entry.ts, entry.source):
                counts[entry.app, "refused", Reason.ERASED.value] += 1
                imported["erased"] += 1
                continue
            if key is not None:
                known.add(key)
            row = _Row(
                told.app, told.split, entry.phase, entry.variant, entry.visitor, entry.assigned_at, told.name,
                entry.ts, told.source, entry.stood_in, entry.release, entry.value, entry.id, key, entry.dims,
            )  # fmt: skip
            rows.append(row)
            told.count += 1
            told.valued += entry.value is not None
            if entry.name == EXPOSURE:
                exposures.see(
                    FirstExposure(told.app, told.split, entry.visitor, entry.assigned_at, entry.phase, entry.variant)
                )
        for (app, _, name, source), told in numbers.items():
            if told and source is not EventSource.EDGE:
                counts[app, "accepted", ""] += told.count
                counts[app, NAMED, name] += told.count
                counts[app, VALUED, name] += told.valued
        self._words.store(self._connection)
        if rows:
            self._execute_with(_INSERT_EVENTS, [_ENCODER.encode_lines(rows)], {"arrived": arrived})
        if exposures:
            self._execute_with(MERGE_EXPOSURES, [_ENCODER.encode_lines(list(exposures))])
        self._count(counts)
        return Imported(accepted=len(rows), **imported)

    def _take_in_lists(self, batch: Batch, since: int, arrived: int, counts: Counter[tuple[str, str, str]]) -> bool:
        """Take in what servers sent, and count it, unless some of it is to be left out; tell whether that is done."""
        events: dict[str, list[SentEvent]] = {}
        for app, some in batch.sent:
            events.setdefault(app, []).extend(some)
        said = [SentLists.of(app, each) for app, each in events.items()]
        keys = [key for lists in said for key in lists.keys if key is not None]
        plain = (
            not batch.entries  # among which may be the same ids
            and len(set(keys)) == len(keys)
            and not any(self._erasures.hides_some(lists.visitors) for lists in said)
            and not self._known(keys, since)
        )
        for lists in said if plain else ():
            number = self._words.app(lists.app)
            named = lists.named()
            numbers = {name: self._words.name(number, name, EventSource.API) for name in named}
            where = {"app": number, "source": self._words.source(EventSource.API), "arrived": arrived}
            self._execute_with(INSERT, lists.lines(numbers), where)
            counts[lists.app, "accepted", ""] += named.total()
            counts.update({(lists.app, NAMED, name): n for name, n in named.items()})
            counts.update({(lists.app, VALUED, name): n for name, n in lists.valued().items()})
        return plain

    def _known(self, keys: Iterable[int | None], since: int) -> set[int]:
        """Return which of `keys` arrived after `since`."""
        asked = [key for key in keys if key is not None]
        if not asked:
            return set()
        found = self._connection.execute(_KNOWN_KEYS, {"since": since, "keys": asked}).fetchall()
        return {key for (key,) in found}

    def _numbers(self, entry: Entry) -> "_Numbers | None":
        """Return the numbers of what an entry shares with many; None where its name is one too many."""
        app = self._words.app(entry.app)
        name = self._words.name(app, entry.name, entry.source)
        split = entry.split.number if entry.split else NO_SPLIT
        return None if name is None else _Numbers(app, split, name, self._words.source(entry.source))

    def _execute_with(
        self, statement: str, lines: Iterable[bytes], parameters: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """Execute what reads `lines` as its `$file`."""
        os.ftruncate(self._rows_file, 0)
        os.lseek(self._rows_file, 0, os.SEEK_SET)
        for each in lines:
            rest = memoryview(each)
            while rest:
                rest = rest[os.write(self._rows_file, rest) :]
        self._connection.execute(statement, {"file": f"/proc/self/fd/{self._rows_file}", **parameters})

    def _count(self, counts: Mapping[tuple[str, str, str], int]) -> None:
        if not counts:
            return
        apps, kinds, reasons = zip(*counts, strict=True)
        self._connection.execute(
            _COUNT,
            {
                "apps": list(apps),
                "kinds": list(kinds),
                "reasons": list(reasons),
                "numbers": list(counts.values()),
            },
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        committed = False
        self._connection.begin()
        try:
            yield
            self._connection.commit()
            committed = True
        finally:
            self._words.settle(committed=committed)
            if not committed:
                with suppress(duckdb.Error):  # a commit that failed has rolled back already
                    self._connection.rollback()
