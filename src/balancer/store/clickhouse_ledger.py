"""The ledger's other engine: a ClickHouse server, or the shards of a cluster.

Invariants:
    * The same lines give the same rows as in the embedded engine.
    * What is asked sees whole batches only, and fails where a shard does not answer: never a part of the answer.
    * Nothing is kept here that the tables do not have, so a process that ends loses nothing.

One thread loads (`clickhouse_load`), any number ask. Servers need not be there when it is made. Used by `ledgerd`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from balancer.domain.entry import Batch
from balancer.domain.event_row import Erased, EventRow, Exported, Form, Imported, Tail
from balancer.domain.ledger_url import LedgerUrl
from balancer.domain.split import SplitId
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.distribution import Distribution
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally
from balancer.store.clickhouse_affected import read_affected
from balancer.store.clickhouse_cells import read_cells
from balancer.store.clickhouse_cluster import Cluster, find
from balancer.store.clickhouse_distribution import read_distribution
from balancer.store.clickhouse_event_names import read_names
from balancer.store.clickhouse_export import write_rows
from balancer.store.clickhouse_load import Loader
from balancer.store.clickhouse_newest import newest_rows
from balancer.store.clickhouse_progress import read_intake
from balancer.store.clickhouse_raw import read_raw
from balancer.store.clickhouse_releases import read_releases
from balancer.store.clickhouse_server import client
from balancer.store.clickhouse_tables import migrate
from balancer.store.ledger import entry_of, now_milliseconds

LeftAt = tuple[int, Mapping[int, int]]
"""How far a file was taken in, in bytes, and the number that the next line of each worker will have."""


class ClickHouseLedger:
    """The tables behind one URL, made when they are not there."""

    def __init__(
        self, url: LedgerUrl, now: Callable[[], int] = now_milliseconds, left: Mapping[str, LeftAt] | None = None
    ) -> None:
        """Keep the ledger at `url`; `now` stamps arrivals, in milliseconds since 1970.

        A file that these tables know nothing of is read on from where another engine `left` it.
        """
        self._left = left or {}
        self._url = url
        self._now = now
        self._client = client(url.user, url.password, encrypted=url.encrypted)
        self._opening = threading.Lock()
        """Guards `_cluster`: tables are made once."""
        self._cluster: Cluster | None = None
        self._turn = threading.Lock()
        """Guards `_loader`, which does one thing after another, and `_arrived`."""
        self._loader: Loader | None = None
        self._arrived = 0

    def offsets(self) -> Mapping[str, int]:
        """Return up to where each file has been taken in, in bytes. Raises LedgerUnavailable."""
        with self._turn:
            self._loading().settle()
            return dict(self._loading().progress.offsets)

    def expected(self) -> Mapping[str, dict[int, int]]:
        """Return the number that the next line will have, of each worker of the proxy that wrote to a file."""
        with self._turn:
            return {file: dict(numbers) for file, numbers in self._loading().progress.expected.items()}

    def lost(self) -> int:
        """Return how many lines never came."""
        with self._turn:
            return self._loading().progress.lost()

    def forget(self, file: str) -> None:
        """Drop what is known of a file that is no more. Raises LedgerUnavailable."""
        with self._turn:
            self._loading().forget(file)

    def load(self, batch: Batch, file: str, offset: int) -> None:
        """Take in a batch, and with it that `file` is done up to `offset`.

        Raises:
            BatchRefused: the batch itself is at fault; nothing of it is in.
            LedgerUnavailable: a server did not answer, or refused; `offsets` tells whether the batch is in.
        """
        with self._turn:
            self._loading().load(batch, file, offset, self._arrival())

    def intake(self, app: str) -> Intake:
        """Return what was accepted, duplicate and refused of an app's events. Safe in any thread."""
        return read_intake(self._servers().first, self._url.database, app)

    def releases(
        self, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return visitors and events of a split by the release of the exposure. Safe in any thread."""
        return read_releases(self._servers(), self._url.database, app, SplitId(split), phases, variants, marks)

    def distribution(self, question: SplitQuestion) -> Distribution:
        """Return how the number of the one measure asked for is distributed. Safe in any thread."""
        return read_distribution(self._servers(), self._url.database, question)

    def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Safe in any thread."""
        return read_names(self._servers(), self._url.database, app)

    def raw(self, question: RawQuestion) -> RawCells:
        """Return events as such. Safe in any thread. Raises InvalidInput where the cells are too many."""
        return read_raw(self._servers(), self._url.database, question)

    def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Safe in any thread. Raises LedgerUnavailable."""
        return read_cells(self._servers(), self._url.database, question)

    def affected(self, question: AffectedQuestion) -> Affected:
        """Return whom the events of a question befell. Safe in any thread. Raises LedgerUnavailable."""
        return read_affected(self._servers(), self._url.database, question)

    def export(self, path: Path, app: str, form: Form, since: int | None, until: int | None) -> Exported:
        """Write the rows of an app to a new file. Safe in any thread. Raises LedgerUnavailable, OSError."""
        return write_rows(self._servers(), self._url.database, path, app, form, since, until)

    def newest(self, app: str, event: str | None, after: int | None, limit: int) -> Tail:
        """Return the newest rows of an app. Safe in any thread. Raises LedgerUnavailable."""
        return newest_rows(self._servers(), self._url.database, app, event, after, limit)

    def bring_in(self, app: str, rows: Sequence[EventRow]) -> Imported:
        """Take in rows of a file; each has an id, which counts once. Safe in any thread.

        Raises BatchRefused; LedgerUnavailable: they may be in, and may be brought in again.
        """
        batch = Batch([entry_of(app, row) for row in rows])
        with self._turn:
            return self._loading().bring_in(batch, self._arrival())

    def erase(self, app: str | None, visitor: str) -> Erased:
        """Take out every row of a visitor, of one app or of all, for good. Safe in any thread.

        Raises LedgerUnavailable; it may be done again.
        """
        with self._turn:
            return self._loading().erase(app, visitor, self._now())

    def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> Mapping[str, Erased]:
        """Take out what arrived before the times of the apps, and of all others; return what. Safe in any thread."""
        with self._turn:
            return self._loading().remove_before(kept_since, otherwise)

    def close(self) -> None:
        """Let the servers go; what is asked meanwhile fails."""
        self._client.close()

    def _arrival(self) -> int:
        """Return when a batch arrives: later than every other, so that nothing is missed by who has seen those."""
        self._arrived = max(self._now(), self._arrived + 1)
        return self._arrived

    def _servers(self) -> Cluster:
        with self._opening:
            if self._cluster is None:
                cluster = find(self._url, self._client)
                migrate(cluster, self._url.database, self._url.cluster)
                self._cluster = cluster
            return self._cluster

    def _loading(self) -> Loader:
        if self._loader is None:
            loader = Loader(self._servers(), self._url.database)
            for file, (offset, expected) in self._left.items():
                loader.begin(file, offset, expected)
            self._loader = loader
        return self._loader
