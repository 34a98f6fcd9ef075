"""The ledger's other engine: a ClickHouse server, or the shards of a cluster.

Invariants:
    * The same lines give the same rows as in the embedded engine.
    * What is asked sees whole batches only, and fails where a shard does not answer: never a part of the answer.
    * Nothing is kept here that the tables do not have, so a process that ends loses nothing.

One thread loads (`clickhouse_load`), any number ask. Servers need not be there when it is made. Used by `ledgerd`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from balancer.domain.entry import Batch
from balancer.domain.event import VisitorId
from balancer.domain.ledger_url import LedgerUrl
from balancer.domain.split import SplitId
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally, SplitTally
from balancer.store.clickhouse_cells import read_cells
from balancer.store.clickhouse_cluster import Cluster, find
from balancer.store.clickhouse_load import Loader, delete
from balancer.store.clickhouse_progress import read_intake
from balancer.store.clickhouse_releases import read_releases
from balancer.store.clickhouse_server import client
from balancer.store.clickhouse_tables import migrate
from balancer.store.clickhouse_tally import read_names, read_tally
from balancer.store.clickhouse_text import quoted
from balancer.store.ledger import now_milliseconds

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
        self._loader: Loader | None = None

    def offsets(self) -> Mapping[str, int]:
        """Return up to where each file has been taken in, in bytes. Raises LedgerUnavailable."""
        self._loading().settle()
        return dict(self._loading().progress.offsets)

    def expected(self) -> Mapping[str, dict[int, int]]:
        """Return the number that the next line will have, of each worker of the proxy that wrote to a file."""
        return {file: dict(numbers) for file, numbers in self._loading().progress.expected.items()}

    def lost(self) -> int:
        """Return how many lines never came."""
        return self._loading().progress.lost()

    def forget(self, file: str) -> None:
        """Drop what is known of a file that is no more. Raises LedgerUnavailable."""
        self._loading().forget(file)

    def load(self, batch: Batch, file: str, offset: int) -> None:
        """Take in a batch, and with it that `file` is done up to `offset`.

        Raises:
            BatchRefused: the batch itself is at fault; nothing of it is in.
            LedgerUnavailable: a server did not answer, or refused; `offsets` tells whether the batch is in.
        """
        self._loading().load(batch, file, offset, self._now())

    def intake(self, app: str) -> Intake:
        """Return what was accepted, duplicate and refused of an app's events. Safe in any thread."""
        return read_intake(self._servers().first, self._url.database, app)

    def tally(self, app: str, split: str, phases: Sequence[int], variants: Sequence[str]) -> SplitTally:
        """Return visitors and moments of a split for these phases and variants. Safe in any thread."""
        return read_tally(self._servers(), self._url.database, app, SplitId(split), phases, variants)

    def releases(
        self, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return visitors and events of a split by the release of the exposure. Safe in any thread."""
        return read_releases(self._servers(), self._url.database, app, SplitId(split), phases, variants, marks)

    def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Safe in any thread."""
        return read_names(self._servers(), self._url.database, app)

    def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Safe in any thread. Raises LedgerUnavailable."""
        return read_cells(self._servers(), self._url.database, question)

    def erase(self, visitor: VisitorId) -> int:
        """Delete all rows of a visitor, and return how many there were. Safe in any thread.

        Raises LedgerUnavailable; the rows may be gone all the same, or go.
        """
        cluster = self._servers()
        shard = cluster.shards[cluster.place(visitor)]
        only = f"visitor = toUUID({quoted(visitor)})"
        rows = shard.writer.ask(f"SELECT count() FROM {self._url.database}.events WHERE {only}")  # noqa: S608
        count = int(str(rows[0][0]))
        if count:
            delete(shard.writer, self._url.database, only)
        return count

    def close(self) -> None:
        """Let the servers go; what is asked meanwhile fails."""
        self._client.close()

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
