"""Events that servers sent, as lists: how a hundred thousand a second are loaded without an object for each row.

Invariants:
    * The lists say what the entries would: the same rows, words and counts come of both.
    * Only where nothing is to be left out; what has an id that is there already, or is of a visitor who was erased,
      goes by its entries.

Used by the embedded engine's loading.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any

import msgspec
import xxhash

from balancer.domain.sent import SentEvent

# 2,000: DuckDB works on 2,048 rows at a time, and a line of so many of the longest (1 KB) is far below the 16 MiB that
# it takes.
LINE_ROWS = 2000
INSERT = """
INSERT INTO events BY NAME SELECT
    $app AS app, 0 AS split, 0 AS phase, '' AS variant, 0 AS assigned_at, $source AS source, false AS stood_in,
    $arrived AS arrived, unnest(u) AS visitor, unnest(n) AS name, unnest(x) AS value, unnest(t) AS ts,
    unnest(i) AS event_id, unnest(k) AS event_key, unnest(d) AS dims
FROM read_json($file, format = 'newline_delimited', columns = {
    u: 'UUID[]', n: 'INTEGER[]', x: 'DOUBLE[]', t: 'BIGINT[]', i: 'VARCHAR[]', k: 'BIGINT[]', d: 'VARCHAR[]'})
"""
"""Lists that are not there, because nothing is in them, give nulls."""
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class SentLists:
    """Events of one app, a list for each field."""

    app: str
    visitors: list[str]
    names: list[str]
    values: list[float | None]
    ts: list[int]
    ids: list[str | None]
    keys: list[int | None]
    """What stands for the ids."""
    dims: list[str | None]

    @classmethod
    def of(cls, app: str, events: Sequence[SentEvent]) -> "SentLists":
        """Return the lists of some events."""
        ids: list[str | None] = _listed("id", events)
        return cls(
            app,
            visitors=_listed("visitor", events),
            names=_listed("name", events),
            values=_listed("value", events),
            ts=_listed("ts", events),
            ids=ids,
            keys=[None if each is None else key_of(app, each) for each in ids],
            dims=_listed("dims", events),
        )

    def named(self) -> Counter[str]:
        """Return how many there are of each name."""
        return Counter(self.names)

    def valued(self) -> Counter[str]:
        """Return how many of each name have a value."""
        return Counter(compress(self.names, (value is not None for value in self.values)))

    def lines(self, numbers: Mapping[str, int | None]) -> Iterator[bytes]:
        """Give what INSERT reads; `numbers` stand for the names."""
        lists: dict[str, Sequence[object]] = {
            "u": self.visitors,
            "n": list(map(numbers.__getitem__, self.names)),
            "x": self.values,
            "t": self.ts,
            "i": self.ids,
            "k": self.keys,
            "d": self.dims,
        }
        said = {letter: each for letter, each in lists.items() if any(value is not None for value in each)}
        for start in range(0, len(self.names), LINE_ROWS):
            part = {letter: each[start : start + LINE_ROWS] for letter, each in said.items()}
            yield _ENCODER.encode(part) + b"\n"


def key_of(app: str, event_id: str) -> int:
    """Return what stands for an event's id in its app: 64 bits, because looking for texts takes thrice as long.

    Among 10⁷ ids of a week, a new one meets another's key once in 10¹².
    """
    return xxhash.xxh3_64_intdigest(f"{app} {event_id}".encode()) - (1 << 63)


def _listed(name: str, events: Sequence[SentEvent]) -> list[Any]:
    return list(map(attrgetter(name), events))
