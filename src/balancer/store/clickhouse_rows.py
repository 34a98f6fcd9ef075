"""Rows of the table `events` as ClickHouse's RowBinary: bits as they are, for servers of 2018 round what they read.

Used by `clickhouse_load`.
"""

import struct
from functools import lru_cache

import xxhash

from balancer.domain.entry import BatchRefused, Entry

COLUMNS = (
    "batch, row, split, phase, assigned_at, ts, arrived, stood_in, event_key, visitor, "
    "value, release, event_id, dims, app, variant, name, source"
)
"""In the order in which `encoded` writes them."""
NO_KEY = 0
"""The key of an event without an id."""
NO_SPLIT = 0
"""Stands for the split where an event belongs to a visitor alone; splits begin with 1."""
_FIXED = struct.Struct("<QIiiqqqBQ8s8s")
_VALUE = struct.Struct("<Bd")
_RELEASE = struct.Struct("<Bq")
_PRESENT, _NULL = b"\0", b"\1"


def key_of(entry: Entry) -> int:
    """Return what stands for an event's id in its app, NO_KEY where it has none.

    64 bits: among 10⁷ ids of a week, a new one meets another's key once in 10¹².
    """
    if entry.id is None:
        return NO_KEY
    return xxhash.xxh3_64_intdigest(f"{entry.app} {entry.id}".encode()) or 1


def encoded(entry: Entry, key: int, batch: int, row: int, arrived: int) -> bytes:
    """Return the row of an entry. Raises BatchRefused where a column cannot hold what the entry has."""
    try:
        visitor = bytes.fromhex(entry.visitor.replace("-", ""))
        split = entry.split.number if entry.split else NO_SPLIT
        fixed = _FIXED.pack(
            batch, row, split, entry.phase, entry.assigned_at, entry.ts, arrived, entry.stood_in, key,
            visitor[7::-1], visitor[:7:-1],
        )  # fmt: skip
        if len(visitor) != 16:
            raise ValueError(f"{entry.visitor!r} is no visitor")
        dims: str | None = getattr(entry, "dims", None)
        return b"".join(
            (
                fixed,
                _NULL if entry.value is None else _VALUE.pack(0, entry.value),
                _NULL if entry.release is None else _RELEASE.pack(0, entry.release),
                _NULL if entry.id is None else _PRESENT + _written(entry.id),
                _NULL if dims is None else _PRESENT + _text(dims),
                _text(entry.app),
                _text(entry.variant),
                _text(entry.name),
                _text(entry.source.value),
            )
        )
    except (struct.error, ValueError) as reason:
        raise BatchRefused(f"row {row}: {reason}") from reason


def _written(text: str) -> bytes:
    written = text.encode()
    return _length(len(written)) + written


# 4,096: names, apps and variants that a batch repeats.
_text = lru_cache(4096)(_written)


def _length(number: int) -> bytes:
    """Return a number as LEB128."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
