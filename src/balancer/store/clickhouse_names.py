"""The names that events of each app have had: the table `names`.

Invariant: beacons bring at most BEACON_NAMES_LIMIT names into an app, because anyone can send one, and names stay.

Names are texts in every row: sorted by name they take next to nothing, and nothing has to be looked up to read them.
Used by `clickhouse_load`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from balancer.domain.entry import Entry
from balancer.domain.event import EventSource
from balancer.store.clickhouse_cluster import Shard
from balancer.store.ledger_words import BEACON_NAMES_LIMIT

# Names are texts of a kind of their own.
_ENCODER = msgspec.json.Encoder(enc_hook=str)


class Names:
    """All of them, in memory."""

    def __init__(self, names: Iterable[tuple[str, str]] = ()) -> None:
        self._of: dict[str, set[str]] = {}
        self.take(names)

    @classmethod
    def read(cls, shard: Shard, database: str) -> "Names":
        """Read the table. Raises LedgerUnavailable."""
        rows = shard.writer.ask(f"SELECT DISTINCT app, name FROM {database}.names")  # noqa: S608 # a plain name
        return cls((str(app), str(name)) for app, name in rows)

    def admit(self, entry: Entry, new: dict[tuple[str, str], None]) -> bool:
        """Tell whether an entry may come in; its name is added to `new` where nobody has had it."""
        if entry.source is EventSource.EDGE:
            return True  # the platform's own
        known, name = self._of.get(entry.app, set()), (entry.app, entry.name)
        if entry.name in known or name in new:
            return True
        if entry.source is EventSource.BEACON:
            count = len(known) + sum(app == entry.app for app, _ in new)
            if count >= BEACON_NAMES_LIMIT:
                return False
        new[name] = None
        return True

    def write(self, shard: Shard, database: str, names: Sequence[tuple[str, str]], batch: int) -> None:
        """Add names to the table; what is there already is not there twice. Raises LedgerUnavailable."""
        if not names:
            return
        rows = _ENCODER.encode_lines([{"app": app, "name": name} for app, name in names])
        shard.writer.insert(
            f"INSERT INTO {database}.names FORMAT JSONEachRow", rows, f"balancer-{database}-{batch}-names"
        )

    def take(self, names: Iterable[tuple[str, str]]) -> None:
        """Know these too."""
        for app, name in names:
            self._of.setdefault(app, set()).add(name)
