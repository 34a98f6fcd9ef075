"""How far each file is in, and what it gave: the table `progress`.

Invariants:
    * A batch is in when its number is here; numbers rise by one, and what bears a higher one is no part of the ledger.
    * Writing the same again changes nothing.

Used by `clickhouse_load`, which writes it, and by questions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from balancer.domain.entry import NO_APP
from balancer.stats.tally import Intake
from balancer.store.clickhouse_cluster import Shard
from balancer.store.clickhouse_text import quoted

LOST = "lost"
"""The kind of what never came, of whichever app it was."""
ACCEPTED, DUPLICATE, REFUSED = "accepted", "duplicate", "refused"
Counts = Counter[tuple[str, str, str]]
"""By app, kind and reason."""


# Names of apps are texts of a kind of their own.
_ENCODER = msgspec.json.Encoder(enc_hook=str)


class _Row(msgspec.Struct, omit_defaults=True):
    """A row of the table, for JSONEachRow."""

    file: str
    batch: int
    app: str = ""
    offset: int = 0
    gone: int = 0
    workers: list[int] = []
    expected: list[int] = []
    kinds: list[str] = []
    reasons: list[str] = []
    counts: list[int] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a batch changes, and the rows that say so."""

    batch: int
    file: str
    offset: int | None
    """None where the file is no more."""
    expected: Mapping[int, int]
    counts: Mapping[str, Counter[tuple[str, str]]]
    """Of the apps that the batch concerns, by kind and reason: what the file gave up to now."""
    rows: bytes


@dataclass(slots=True)
class Progress:
    """All of it, in memory, as the table has it."""

    batch: int = 0
    """The last one that is in."""
    offsets: dict[str, int] = field(default_factory=dict)
    expected: dict[str, dict[int, int]] = field(default_factory=dict)
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = field(default_factory=dict)
    """By file and app, then by kind and reason."""
    known: set[str] = field(default_factory=set)
    """Files, also those that are gone."""

    @classmethod
    def read(cls, shard: Shard, database: str) -> "Progress":
        """Read the table. Raises LedgerUnavailable."""
        found = cls()
        rows = shard.writer.ask(
            f"SELECT {', '.join(_Row.__struct_fields__)} FROM {database}.progress FINAL"  # noqa: S608 # plain names
        )
        for values in rows:
            row = msgspec.convert(dict(zip(_Row.__struct_fields__, values, strict=True)), _Row)
            found.batch = max(found.batch, row.batch)
            found.known.add(row.file)
            if row.app:
                found.counts[row.file, row.app] = _counter(row)
            elif not row.gone:
                found.offsets[row.file] = row.offset
                found.expected[row.file] = dict(zip(row.workers, row.expected, strict=True))
        return found

    def lost(self) -> int:
        """Return how many lines never came."""
        return sum(counts[LOST, ""] for counts in self.counts.values())

    def step(self, file: str, offset: int | None, expected: Mapping[int, int], counts: Counts) -> Step:
        """Return what comes next, with the next number."""
        batch = self.batch + 1
        numbers = {**self.expected.get(file, {}), **expected} if offset is not None else {}
        rows = [
            _Row(file, batch, offset=offset or 0, gone=int(offset is None), workers=list(numbers),
                 expected=list(numbers.values()))
        ]  # fmt: skip
        sums: dict[str, Counter[tuple[str, str]]] = {}
        for (app, kind, reason), count in counts.items():
            sums.setdefault(app, Counter(self.counts.get((file, app), Counter())))[kind, reason] += count
        for app, of_app in sums.items():
            kinds, reasons = [kind for kind, _ in of_app], [reason for _, reason in of_app]
            rows.append(_Row(file, batch, app, kinds=kinds, reasons=reasons, counts=list(of_app.values())))
        return Step(
            batch=batch,
            file=file,
            offset=offset,
            expected=numbers,
            counts=sums,
            rows=_ENCODER.encode_lines(rows),
        )

    def take(self, step: Step) -> None:
        """Be as the table is once the rows of `step` are in it."""
        self.batch = step.batch
        self.known.add(step.file)
        if step.offset is None:
            self.offsets.pop(step.file, None)
            self.expected.pop(step.file, None)
        else:
            self.offsets[step.file] = step.offset
            self.expected[step.file] = dict(step.expected)
        for app, counts in step.counts.items():
            self.counts[step.file, app] = counts


def last_batch(shard: Shard, database: str) -> int:
    """Return the number of the last batch that is in; what is asked leaves out the rest. Raises LedgerUnavailable."""
    rows = shard.ask(f"SELECT max(batch) FROM {database}.progress")  # noqa: S608 # a name that needs no quotes
    return int(str(rows[0][0]))


def read_intake(shard: Shard, database: str, app: str) -> Intake:
    """Return what was accepted, duplicate and refused of an app's events. Raises LedgerUnavailable."""
    rows = shard.ask(
        f"SELECT app, kinds, reasons, counts FROM {database}.progress FINAL "  # noqa: S608
        f"WHERE app IN ({quoted(app)}, {quoted(NO_APP)})"
    )
    sums: Counts = Counter()
    for of, kinds, reasons, counts in msgspec.convert(rows, list[tuple[str, list[str], list[str], list[int]]]):
        for kind, reason, count in zip(kinds, reasons, counts, strict=True):
            sums[of, kind, reason] += count
    refused = [(reason, n) for (of, kind, reason), n in sums.items() if of == app and kind == REFUSED]
    return Intake(
        accepted=sums[app, ACCEPTED, ""],
        duplicate=sums[app, DUPLICATE, ""],
        refused=sum(n for _, n in refused),
        lost_lines=_of_kind(sums.items(), LOST),
        reasons=tuple(sorted(refused, key=lambda each: (-each[1], each[0]))),
    )


def _of_kind(sums: Iterable[tuple[tuple[str, str, str], int]], wanted: str) -> int:
    return sum(n for (_, kind, _), n in sums if kind == wanted)


def _counter(row: _Row) -> Counter[tuple[str, str]]:
    keys: Sequence[tuple[str, str]] = list(zip(row.kinds, row.reasons, strict=True))
    return Counter(dict(zip(keys, row.counts, strict=True)))
