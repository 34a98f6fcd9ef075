"""The ledger's embedded engine: DuckDB.

Invariants:
    * The same lines in any order give the same cells.
    * No table has an index: it would cost memory for each row, and DuckDB recovers best without.

One thread loads (`ledger_load`); any number ask, each on a connection of its own, and see what was
committed when they began. What is counted is decided on reading (`ledger_cells`), never on arrival. Used by
`ledgerd`, the one process that has the file.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from balancer.domain.entry import Batch, Entry
from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased, EventRow, Exported, Form, Imported, Tail
from balancer.domain.split import SplitId
from balancer.errors import LedgerUnavailable
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.distribution import Distribution
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally
from balancer.store.ledger_affected import read_affected
from balancer.store.ledger_cells import read_cells
from balancer.store.ledger_distribution import read_distribution
from balancer.store.ledger_kept import Kept
from balancer.store.ledger_load import LOST, Loader
from balancer.store.ledger_names import read_names
from balancer.store.ledger_raw import read_raw
from balancer.store.ledger_releases import read_releases
from balancer.store.ledger_rows import newest_rows, write_rows

# 5 s: an interrupted query ends within milliseconds.
_INTERRUPT_SECONDS = 5.0
_INTERRUPT_AGAIN_SECONDS = 0.05
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "400MB",  # so that a machine of 1 GB will do; beyond it DuckDB spills to disk
    "threads": 2,
    "preserve_insertion_order": False,  # nobody asks for that order, and keeping it costs memory
    "autoinstall_known_extensions": False,  # nothing is ever fetched from the network
    "autoload_known_extensions": False,
    "enable_external_file_cache": False,  # every batch comes under the same path
    # 64 MB of what is new, which opening after a crash reads again in 0.3 s of CPU time; with 16 MB a batch of 20,000
    # takes a sixth more of it.
    "checkpoint_threshold": "64MB",
}


def now_milliseconds() -> int:
    """Return the time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class DuckLedger:
    """The tables in one file, made when they are not there."""

    def __init__(self, path: Path, now: Callable[[], int] = now_milliseconds) -> None:
        """Open `path`; `now` stamps arrivals, in milliseconds since 1970. A crash is recovered from here."""
        self._now = now
        spill = path.with_name(f"{path.name}.tmp")
        self._database = duckdb.connect(str(path), config={**_SETTINGS, "temp_directory": str(spill)})
        self._loading = self._database.cursor()
        self._loader = Loader(self._loading)
        self._load_turn = threading.Lock()
        """Guards `_loading`, `_loader` and `_arrived`: one thread collects, others erase or bring in what was asked."""
        (last,) = self._loading.execute("SELECT coalesce(max(arrived), 0) FROM events").fetchall()
        self._arrived: int = last[0]
        self._asking: set[duckdb.DuckDBPyConnection] = set()
        self._closing = False
        self._kept = Kept()
        self._asking_changed = threading.Condition()
        """Guards `_asking` and `_closing`."""

    def offsets(self) -> Mapping[str, int]:
        """Return up to where each file has been taken in, in bytes."""
        with self._load_turn:
            return dict(self._loading.execute('SELECT file, "offset" FROM offsets').fetchall())

    def expected(self) -> Mapping[str, dict[int, int]]:
        """Return the number that the next line will have, of each worker of the proxy that wrote to a file."""
        found: dict[str, dict[int, int]] = {}
        with self._load_turn:
            rows = self._loading.execute("SELECT file, worker, expected FROM numbers").fetchall()
        for file, worker, number in rows:
            found.setdefault(file, {})[worker] = number
        return found

    def lost(self) -> int:
        """Return how many lines never came."""
        with self._load_turn:
            rows = self._loading.execute("SELECT n FROM intake WHERE kind = ?", [LOST]).fetchall()
        return sum(n for (n,) in rows)

    def forget(self, file: str) -> None:
        """Drop what is known of a file that is no more."""
        with self._load_turn:
            self._loading.execute("DELETE FROM numbers WHERE file = ?", [file])
            self._loading.execute("DELETE FROM offsets WHERE file = ?", [file])

    def load(self, batch: Batch, file: str, offset: int) -> None:
        """Take in a batch, and with it that `file` is done up to `offset`.

        Raises:
            BatchRefused: the batch itself is at fault; nothing of it is in.
            duckdb.Error: the engine is (no space, no memory); nothing of it is in, and it may be tried again.
        """
        with self._load_turn:
            self._loader.load(batch, file, offset, self._arrival())

    def bring_in(self, app: str, rows: Sequence[EventRow]) -> Imported:
        """Take in rows of a file; each has an id, which counts once. Safe in any thread. Raises BatchRefused."""
        batch = Batch([entry_of(app, row) for row in rows])
        with self._load_turn:
            return self._loader.bring_in(batch, self._arrival())

    def erase(self, app: str | None, visitor: str) -> Erased:
        """Take out every row of a visitor, of one app or of all, for good. Safe in any thread."""
        with self._load_turn:
            return self._loader.erase(app, visitor, self._now())

    def remove_before(self, kept_since: Mapping[str, int], otherwise: int) -> Mapping[str, Erased]:
        """Take out what arrived before the times of the apps, and of all others; return what. Safe in any thread."""
        with self._load_turn:
            return self._loader.remove_before(kept_since, otherwise)

    def export(self, path: Path, app: str, form: Form, since: int | None, until: int | None) -> Exported:
        """Write the rows of an app to a new file. Safe in any thread. Raises duckdb.Error."""
        with self._question() as connection:
            return write_rows(connection, path, app, form, since, until)

    def newest(self, app: str, event: str | None, after: int | None, limit: int) -> Tail:
        """Return the newest rows of an app. Safe in any thread."""
        with self._question() as connection:
            return newest_rows(connection, app, event, after, limit)

    def releases(
        self, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return visitors and events of a split by the release of the exposure. Safe in any thread."""
        with self._question() as connection:
            return read_releases(connection, app, SplitId(split), phases, variants, marks)

    def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Safe in any thread."""
        with self._question() as connection:
            return read_cells(connection, question, self._kept)

    def affected(self, question: AffectedQuestion) -> Affected:
        """Return whom the events of a question befell. Safe in any thread."""
        with self._question() as connection:
            return read_affected(connection, question)

    def distribution(self, question: SplitQuestion) -> Distribution:
        """Return how the number of the one measure asked for is distributed. Safe in any thread."""
        with self._question() as connection:
            return read_distribution(connection, question)

    def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Safe in any thread."""
        with self._question() as connection:
            return read_names(connection, app)

    def raw(self, question: RawQuestion) -> RawCells:
        """Return how many events there are, and of how many visitors. Safe in any thread. Raises InvalidInput."""
        with self._question() as connection:
            return read_raw(connection, question)

    def intake(self, app: str) -> Intake:
        """Return what was accepted, duplicate and refused of an app's events. Safe in any thread."""
        with self._question() as connection:
            rows = connection.execute(
                "SELECT kind, reason, n FROM intake WHERE app = ? OR kind = ? ORDER BY n DESC, reason", [app, LOST]
            ).fetchall()
        return Intake(
            accepted=sum(n for kind, _, n in rows if kind == "accepted"),
            duplicate=sum(n for kind, _, n in rows if kind == "duplicate"),
            refused=sum(n for kind, _, n in rows if kind == "refused"),
            lost_lines=sum(n for kind, _, n in rows if kind == LOST),
            reasons=tuple((reason, n) for kind, reason, n in rows if kind == "refused"),
        )

    def close(self) -> None:
        """Interrupt whoever still asks, and close the file."""
        deadline = time.monotonic() + _INTERRUPT_SECONDS
        with self._asking_changed:
            self._closing = True
            while self._asking and time.monotonic() < deadline:
                for connection in self._asking:
                    connection.interrupt()  # lost where the query has not begun yet, so again and again
                self._asking_changed.wait(_INTERRUPT_AGAIN_SECONDS)
            if self._asking:
                return  # the file is as sound as after a crash, and the process is about to end
        self._loader.close()
        self._loading.close()
        self._database.close()

    def _arrival(self) -> int:
        """Return when a batch arrives: later than every other, so that nothing is missed by who has seen those."""
        self._arrived = max(self._now(), self._arrived + 1)
        return self._arrived

    @contextmanager
    def _question(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._asking_changed:
            if self._closing:
                raise LedgerUnavailable("it is ending")
            connection = self._database.cursor()
            self._asking.add(connection)
        try:
            yield connection
        finally:
            with self._asking_changed:
                connection.close()
                self._asking.discard(connection)
                self._asking_changed.notify_all()


def entry_of(app: str, row: EventRow) -> Entry:
    """Return a row of a file as an entry of an app. Raises InvalidName."""
    return Entry(
        app=app,
        split=None if row.split is None else SplitId(row.split),
        variant=row.variant,
        phase=row.phase,
        visitor=row.visitor,
        assigned_at=row.assigned_at,
        ts=row.ts,
        name=row.name,
        value=row.value,
        id=row.id,
        source=EventSource(row.source),
        release=row.release,
        stood_in=row.stood_in,
        dims=row.dims,
    )
