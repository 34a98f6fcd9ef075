"""Loading, on ClickHouse: a batch, numbered, in one piece to each shard, and its progress last.

Invariants:
    * A piece is one block of one month of arrivals: its server has all of it or nothing, but for a fault.
    * After an answer that did not come the count of a piece's rows decides: none, again; all, done; some, deleted and
      again.
    * A batch counts once `progress` has its number, and that is written when all of its pieces are there.
    * What a process left half done when it ended is deleted by the next one, before it loads anything.

Used by the ClickHouse engine, in its loading thread.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from balancer.domain.entry import NO_APP, Batch, Entry, Reason
from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased, Imported
from balancer.errors import LedgerUnavailable
from balancer.store.clickhouse_cluster import Cluster, Shard
from balancer.store.clickhouse_deletion import delete, wait
from balancer.store.clickhouse_erase import Erasures, remove_before
from balancer.store.clickhouse_names import Names
from balancer.store.clickhouse_progress import ACCEPTED, DUPLICATE, LOST, REFUSED, Counts, Progress, Step
from balancer.store.clickhouse_rows import COLUMNS, NO_KEY, encoded, key_of
from balancer.store.clickhouse_server import Server
from balancer.store.ledger_load import DEDUPLICATION_MILLISECONDS

# 30 s: what was sent before the connection broke is done or refused within it.
_RUNNING_SECONDS = 30.0
_IMPORTS = "imports"
"""Stands for the file where rows are brought in; none is called so."""


@dataclass(slots=True, kw_only=True)
class _Piece:
    """What one shard gets of a batch."""

    rows: int
    body: bytes
    sent: bool = False
    """It may be there, or a part of it."""
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A batch on its way."""

    arrived: int
    pieces: dict[int, _Piece]
    """By the place of the shard."""
    names: tuple[tuple[str, str], ...]
    """App and name of what had not been seen before."""
    step: Step
    counts: Counts = field(default_factory=Counter)


class Loader:
    """Takes in batches, one after another; makes itself anew from the tables."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        """Read how far the tables are, and undo what was left half done. Raises LedgerUnavailable."""
        self._cluster = cluster
        self._database = database
        self._events = f"{database}.events"
        self.progress = Progress.read(cluster.first, database)
        self._names = Names.read(cluster.first, database)
        self._erasures = Erasures.read(cluster.first, database)
        self._pending: _Pending | None = None
        cluster.each(self._undo)

    def load(self, batch: Batch, file: str, offset: int, arrived: int) -> None:
        """Take in a batch that arrived at `arrived`, and with it that `file` is done up to `offset`.

        Raises:
            BatchRefused: the batch itself is at fault; nothing of it is in.
            LedgerUnavailable: it is not known whether it is in; `settle` will bring it in, and then know.
        """
        if self._pending:
            raise LedgerUnavailable("another batch is on its way")
        self._pending = self._prepared(batch, file, offset, arrived)
        self.settle()

    def bring_in(self, batch: Batch, arrived: int) -> Imported:
        """Take in rows of a file, each of which has an id that counts once among all that ever arrived.

        Raises BatchRefused, LedgerUnavailable; as with `load`.
        """
        self.settle()
        self._pending = self._prepared(batch, _IMPORTS, None, arrived, known_since=0)
        counts = self._pending.counts
        self.settle()
        return Imported(
            accepted=sum(n for (_, kind, _), n in counts.items() if kind == ACCEPTED),
            duplicate=sum(n for (_, kind, _), n in counts.items() if kind == DUPLICATE),
            erased=sum(n for (_, _, reason), n in counts.items() if reason == Reason.ERASED.value),
        )

    def erase(self, app: str | None, visitor: str, now: int) -> Erased:
        """Take out a visitor of one app, or of all; what was written before `now` does not bring them back."""
        self.settle()
        return self._erasures.erase(self._cluster, self._database, app, visitor, now)

    def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> dict[str, Erased]:
        """Take out what arrived before the times of the apps. Raises LedgerUnavailable."""
        self.settle()
        return remove_before(self._cluster, self._database, kept_since, otherwise)

    def begin(self, file: str, offset: int, expected: Mapping[int, int]) -> None:
        """Let a file that is not known yet be in up to `offset`. Raises LedgerUnavailable."""
        if file not in self.progress.known:
            step = self.progress.step(file, offset, expected, Counter())
            self._pending = _Pending(arrived=0, pieces={}, names=(), step=step)
            self.settle()

    def forget(self, file: str) -> None:
        """Drop how far a file is; what it gave is kept. Raises LedgerUnavailable."""
        self.settle()
        step = self.progress.step(file, None, {}, Counter())
        self._pending = _Pending(arrived=0, pieces={}, names=(), step=step)
        self.settle()

    def settle(self) -> None:
        """Bring in what is on its way, if anything is. Raises LedgerUnavailable; it may be tried again."""
        pending = self._pending
        if pending is None:
            return
        self._cluster.each(lambda shard: self._put(shard, pending))
        self._names.write(self._cluster.first, self._database, pending.names, pending.step.batch)
        self._cluster.first.writer.insert(
            f"INSERT INTO {self._database}.progress FORMAT JSONEachRow",
            pending.step.rows,
            self._query_id(pending.step.batch, "progress"),
        )
        self.progress.take(pending.step)
        self._names.take(pending.names)
        self._pending = None

    def _prepared(
        self, batch: Batch, file: str, offset: int | None, arrived: int, known_since: int | None = None
    ) -> _Pending:
        counts: Counts = Counter({(app, REFUSED, reason.value): n for (app, reason), n in batch.refused.items()})
        if batch.lost:
            counts[NO_APP, LOST, ""] = batch.lost
        entries = batch.all_entries()
        keys = [key_of(entry) for entry in entries]
        since = arrived - DEDUPLICATION_MILLISECONDS if known_since is None else known_since
        known = self._known({key for key in keys if key != NO_KEY}, since)
        new: dict[tuple[str, str], None] = {}
        taken: list[tuple[Entry, int]] = []
        for entry, key in zip(entries, keys, strict=True):
            if key in known:
                counts[entry.app, DUPLICATE, ""] += 1
                continue
            if not self._names.admit(entry, new):
                counts[entry.app, REFUSED, Reason.TOO_MANY_NAMES.value] += 1
                continue
            if self._erasures.hides(entry):
                counts[entry.app, REFUSED, Reason.ERASED.value] += 1
                continue
            if key != NO_KEY:
                known.add(key)
            if entry.source is not EventSource.EDGE:
                counts[entry.app, ACCEPTED, ""] += 1
            taken.append((entry, key))
        step = self.progress.step(file, offset, batch.expected, counts)
        rows: dict[int, list[bytes]] = {}
        for number, (entry, key) in enumerate(taken):
            row = encoded(entry, key, step.batch, number, arrived)
            rows.setdefault(self._cluster.place(entry.visitor), []).append(row)
        pieces = {place: _Piece(rows=len(of), body=b"".join(of)) for place, of in rows.items()}
        return _Pending(arrived=arrived, pieces=pieces, names=tuple(new), step=step, counts=counts)

    def _known(self, keys: set[int], since: int) -> set[int]:
        """Return which of `keys` arrived after `since`, on any shard."""
        if not keys:
            return set()
        found = self._cluster.each(
            lambda shard: shard.writer.ask(
                f"SELECT DISTINCT event_key FROM {self._events} WHERE arrived > {since:d} "  # noqa: S608 # integers
                f"AND event_key IN ({', '.join(map(str, sorted(keys)))})"
            )
        )
        return {int(str(key)) for rows in found for (key,) in rows}

    def _put(self, shard: Shard, pending: _Pending) -> None:
        """Send the piece of a shard, unless it is there."""
        piece = pending.pieces.get(self._cluster.shards.index(shard))
        if piece is None or piece.done:
            return
        batch = pending.step.batch
        if piece.sent:
            self._wait_until_none_runs(shard.writer)
            only = f"batch = {batch:d} AND arrived = {pending.arrived:d}"
            count = self._count(shard.writer, only)
            if count == piece.rows:
                piece.done = True
                return
            if count:
                delete(shard.writer, self._database, only)
        piece.sent = True
        shard.writer.insert(
            f"INSERT INTO {self._events} ({COLUMNS}) FORMAT RowBinary", piece.body, self._query_id(batch, "events")
        )
        piece.done = True

    def _undo(self, shard: Shard) -> None:
        """Delete what is of no batch that is in: a process ended before it knew."""
        self._wait_until_none_runs(shard.writer)
        beyond = f"batch > {self.progress.batch:d}"
        if self._count(shard.writer, beyond):
            delete(shard.writer, self._database, beyond)

    def _count(self, server: Server, condition: str) -> int:
        rows = server.ask(f"SELECT count() FROM {self._events} WHERE {condition}")  # noqa: S608 # of integers
        return int(str(rows[0][0]))

    def _wait_until_none_runs(self, server: Server) -> None:
        """Wait for what was sent to `server` before: a count while it works says nothing."""
        wait(
            lambda: not server.running(self._query_id_prefix()),
            _RUNNING_SECONDS,
            f"{server.called} still works on a batch that was sent before",
        )

    def _query_id_prefix(self) -> str:
        return f"balancer-{self._database}-"

    def _query_id(self, batch: int, table: str) -> str:
        return f"{self._query_id_prefix()}{batch}-{table}"
