"""The ledger's dictionary: small integers for apps, event names and sources, which every row repeats.

Invariants:
    * A word keeps its number for good.
    * A new word becomes known with the transaction that stores it, or not at all.
    * Beacons bring at most BEACON_NAMES_LIMIT names into an app: anyone can send one, and names stay.

Used by the embedded engine, in its loading thread.
"""

from collections import Counter

import duckdb

from balancer.domain.event import EventSource

# 500: far more than people tell apart, and a bound on what a flood of made-up names can do.
BEACON_NAMES_LIMIT = 500
# `app` is 0 for what belongs to no app: the apps themselves, the sources, and the names that begin with `$`.
_TABLE = "CREATE TABLE IF NOT EXISTS words (id INTEGER, kind VARCHAR, app INTEGER, word VARCHAR)"
_Word = tuple[str, int, str]


class Words:
    """The table `words`, and all of it in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(_TABLE)
        rows = connection.execute("SELECT kind, app, word, id FROM words").fetchall()
        self._known: dict[_Word, int] = {(kind, app, word): number for kind, app, word, number in rows}
        self._new: dict[_Word, int] = {}
        self._names = Counter(app for kind, app, _ in self._known if kind == "name")

    def app(self, name: str) -> int:
        """Return the number of an app."""
        return self._number(("app", 0, name))

    def source(self, source: EventSource) -> int:
        """Return the number of a source."""
        return self._number(("source", 0, source.value))

    def name(self, app: int, name: str, source: EventSource) -> int | None:
        """Return the number of an event's name in an app; None where it is one name too many."""
        word = ("name", 0 if source is EventSource.EDGE else app, name)
        known = self._known.get(word) or self._new.get(word)
        if known is None and source is EventSource.BEACON and self._names[app] >= BEACON_NAMES_LIMIT:
            return None
        return known or self._number(word)

    def store(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Insert what is new, in the transaction that the connection is in."""
        if self._new:
            rows = [[number, *word] for word, number in self._new.items()]
            connection.executemany("INSERT INTO words (id, kind, app, word) VALUES (?, ?, ?, ?)", rows)

    def settle(self, *, committed: bool) -> None:
        """Keep what is new, or forget it, as the transaction ended."""
        if committed:
            self._known |= self._new
        else:
            self._names -= Counter(app for kind, app, _ in self._new if kind == "name")
        self._new.clear()

    def _number(self, word: _Word) -> int:
        number = self._known.get(word) or self._new.get(word)
        if number is None:
            number = self._new[word] = 1 + len(self._known) + len(self._new)
            self._names[word[1]] += word[0] == "name"
        return number
