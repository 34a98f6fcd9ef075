"""The events as such, as DuckDB answers it: by name, variant and hour, day, week or month.

Invariants:
    * Everything is as of one moment.
    * The different visitors of a cell are counted exactly, whatever the number of buckets.
    * The memory for telling visitors apart does not grow with the number of events.

Visitors are what costs. One group a visitor, with a bit for each bucket, gives those of every bucket and of the whole
range at once: 10 M events of 1 M visitors take 2.1 s of CPU by 28 days, all told; by hours, of which there are too many
for that and which are counted apart from the whole, 3.3 s.
Used by the embedded engine.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import duckdb

from balancer.domain.calendar import DAY_MILLISECONDS, HOUR_MILLISECONDS, Unit
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput
from balancer.stats.moments import Moments
from balancer.stats.raw import RawCell, RawCells, RawQuestion

# 100,000: 5 events of 2 branches in each hour of a year. The answer is 20 MB then.
CELLS_LIMIT = 100_000
# 64: the bits of an integer.
_BITS = 64
# 20 million: their visitors fit the memory that the engine has. Of more events a part of the visitors is done at a
# time.
_EVENTS_AT_ONCE = 20_000_000
_NAMES = """
SELECT id, word FROM words WHERE kind = 'name' AND (app = $app OR (app = 0 AND word = $event))
"""
_RANGE = "SELECT min(ts), max(ts) FROM events WHERE app = $app"
_MOMENTS = """
SELECT name, coalesce(variant, '') AS arm, {place} AS place,
       count(*), count(value), avg(value), var_pop(value) * count(value)
FROM events WHERE {where} GROUP BY ALL LIMIT {limit}
"""
_BY_BITS = """
SELECT name, arm, [{sums}] AS visitors, count(*) FROM (
    SELECT name, {arm} AS arm, visitor,
           bit_or(1::UBIGINT << ({place} - {first})::UBIGINT) AS buckets
    FROM events WHERE {where}{only} GROUP BY ALL
) GROUP BY name, arm
"""
_EACH = """
SELECT name, {arm} AS arm, {place} AS place, count(DISTINCT visitor)
FROM events WHERE {where}{only} GROUP BY ALL
"""
_Cell = tuple[int, str, int | None]
"""Number of the name, variant, place of the bucket."""
_Visitors = tuple[tuple[int, int, int | None], int]
"""Number of the name, place of the variant, place of the bucket; and how many visitors."""


def read_raw(connection: duckdb.DuckDBPyConnection, question: RawQuestion) -> RawCells:
    """Return the cells that have events. Raises InvalidInput where they are too many."""
    connection.begin()
    try:
        return _read(connection, question)
    finally:
        connection.rollback()


def _read(connection: duckdb.DuckDBPyConnection, question: RawQuestion) -> RawCells:
    found = connection.execute("SELECT id FROM words WHERE kind = 'app' AND word = ?", [question.app]).fetchone()
    if found is None:
        return RawCells()
    names = dict(connection.execute(_NAMES, {"app": found[0], "event": question.event or ""}).fetchall())
    if question.event is not None:
        names = {number: word for number, word in names.items() if word == question.event}
    first, last = connection.execute(_RANGE, {"app": found[0]}).fetchall()[0]
    if not names or first is None:
        return RawCells()
    asking = _Asking(connection, question, found[0], list(names), _between(question.offsets, first, last))
    moments = asking.moments()
    visitors = asking.visitors(moments)
    return RawCells(
        cells=tuple(
            RawCell(
                event=names[name],
                variant=variant,
                bucket=None if place is None else _bucket(question.unit, place),
                count=count,
                values=values,
                visitors=visitors[name, variant, place],
            )
            for (name, variant, place), (count, values) in sorted(moments.items(), key=lambda each: _order(each[0]))
        )
    )


def _order(cell: _Cell) -> tuple[int, str, bool, int]:
    name, variant, place = cell
    return name, variant, place is not None, place or 0


class _Asking:
    """One question, on one connection; a bucket's place is a small integer that counts its unit."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        question: RawQuestion,
        app: int,
        names: Sequence[int],
        walls: Sequence[tuple[int, int]],
    ) -> None:
        self._connection = connection
        self._unit = None if question.unit is None else Unit(question.unit)
        self._place = _place(self._unit, walls)
        conditions = ["app = $app", "list_contains($names, name)"]
        self._asked: dict[str, object] = {"app": app, "names": list(names)}
        for condition, name, value in (
            ("split = $split", "split", None if question.split is None else SplitId(question.split).number),
            ("ts >= $since", "since", question.since),
            ("ts < $until", "until", question.until),
        ):
            if value is not None:
                conditions.append(condition)
                self._asked[name] = value
        self._where = " AND ".join(conditions)

    def moments(self) -> dict[_Cell, tuple[int, Moments]]:
        """Return the events of each cell, and what their values were."""
        rows = self._execute(_MOMENTS, self._asked, limit=CELLS_LIMIT + 1)
        if len(rows) > CELLS_LIMIT:
            raise InvalidInput(
                f"these are more than {CELLS_LIMIT} figures: name an event, a shorter range, or longer buckets"
            )
        found: dict[_Cell, tuple[int, Moments]] = {}
        for name, variant, place, count, valued, mean, m2 in rows:
            values = Moments(n=valued, mean=mean, m2=m2 if valued > 1 else 0.0) if valued else Moments.empty()
            before, pooled = found.get((name, variant, None), (0, Moments.empty()))
            found[name, variant, None] = (before + count, pooled + values)
            if self._unit is not None:
                found[name, variant, place] = (count, values)
        return found

    def visitors(self, moments: dict[_Cell, tuple[int, Moments]]) -> Counter[_Cell]:
        """Return the different visitors of each of these cells."""
        arms = sorted({variant for _, variant, _ in moments if variant})
        places = [place for _, _, place in moments if place is not None]
        events = sum(count for (_, _, place), (count, _) in moments.items() if place is None)
        parts = max(1, -(-events // _EVENTS_AT_ONCE))
        few = self._unit is not Unit.HOUR and max(places, default=0) - min(places, default=0) < _BITS
        found: Counter[_Cell] = Counter()
        for part in range(parts):
            only = "" if parts == 1 else f" AND hash(visitor) % {parts} = {part}"
            cells = self._by_bits(arms, places or [0], only) if few else self._each(arms, only)
            for (name, arm, place), visitors in cells:
                found[name, arms[arm] if arm < len(arms) else "", place] += visitors
        return found

    def _by_bits(self, arms: list[str], places: list[int], only: str) -> Iterator[_Visitors]:
        first, length = min(places), max(places) - min(places) + 1
        sums = ", ".join(f"sum((buckets >> {bit}) & 1)" for bit in range(length))
        for name, arm, each, visitors in self._visitors(_BY_BITS, arms, only, sums=sums, first=first):
            yield (name, arm, None), visitors
            for place, number in enumerate(each, first):
                yield (name, arm, place), int(number)

    def _each(self, arms: list[str], only: str) -> Iterator[_Visitors]:
        for place in (self._place, "NULL::INTEGER"):
            for name, arm, at, visitors in self._visitors(_EACH, arms, only, place=place):
                yield (name, arm, at), visitors

    def _visitors(self, statement: str, arms: list[str], only: str, **words: object) -> list[Any]:
        """Ask with a small number for each variant, because what is grouped by is what costs."""
        cases = " ".join(f"WHEN $arm_{number} THEN {number}" for number in range(len(arms)))
        arm = f"(CASE variant {cases} ELSE {len(arms)} END)::INTEGER" if arms else "0"
        asked = self._asked | {f"arm_{number}": variant for number, variant in enumerate(arms)}
        return self._execute(statement, asked, arm=arm, only=only, **words)

    def _execute(self, statement: str, asked: dict[str, object], **words: object) -> list[Any]:
        text = statement.format(**({"place": self._place, "where": self._where} | words))
        return self._connection.execute(text, asked).fetchall()


def _between(walls: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Return the part of `walls` that matters from `first` to `last`."""
    before = [wall for wall in walls if wall[0] <= first][-1:] or list(walls[:1])
    return before + [wall for wall in walls if first < wall[0] <= last and wall not in before]


def _place(unit: Unit | None, walls: Sequence[tuple[int, int]]) -> str:
    """Return what gives the place of an event's bucket: text of numbers alone."""
    hour = HOUR_MILLISECONDS
    match unit:
        case None:
            return "0"
        case Unit.HOUR:
            # Where the clock was changed within an hour, another one begins.
            return _piecewise(
                [(f"(ts + {ahead}) // {hour} * {hour} - {ahead}", since) for since, ahead in walls], begins=True
            )
        case Unit.DAY:
            return _day(walls)
        case Unit.WEEK:
            return f"(({_day(walls)} + 3) // 7)"  # 1970 began on a Thursday
        case Unit.MONTH:
            return f"datediff('month', DATE '1970-01-01', DATE '1970-01-01' + {_day(walls)})"


def _day(walls: Sequence[tuple[int, int]]) -> str:
    ahead = _piecewise([(str(ahead), since) for since, ahead in walls])
    return f"((ts + {ahead}) // {DAY_MILLISECONDS})::INTEGER"


def _piecewise(pieces: Sequence[tuple[str, int]], *, begins: bool = False) -> str:
    (text, _), *later = pieces
    cases = " ".join(
        f"WHEN ts >= {since} THEN {f'greatest({text}, {since})' if begins else text}" for text, since in reversed(later)
    )
    return f"(CASE {cases} ELSE {text} END)" if cases else f"({text})"


def _bucket(unit: str | None, place: int) -> int:
    """Return the number of a bucket, as `RawCell` has it."""
    match unit:
        case Unit.WEEK:
            return place * 7 - 3
        case Unit.MONTH:
            return (date(1970 + place // 12, place % 12 + 1, 1) - date(1970, 1, 1)).days
        case _:
            return place
