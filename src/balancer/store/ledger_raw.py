"""The events as such, as DuckDB answers it: by name, variant and hour, day, week or month.

Invariants:
    * Everything is as of one moment.
    * The different visitors of a cell are counted exactly, whatever the number of buckets.
    * The memory for telling visitors apart does not grow with the number of events.

Visitors are what costs. One group a visitor, with a bit for each bucket, gives those of every bucket and of the whole
range at once: 10 M events of 1 M visitors in 28 days take 1.6 s of CPU, counting each bucket and the whole apart 3.2 s.
Used by the embedded engine.
"""

from collections import Counter
from collections.abc import Sequence
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
FROM events WHERE {where} GROUP BY ALL
"""
_BY_BITS = """
SELECT name, arm, [{sums}] AS visitors, count(*) FROM (
    SELECT name, list_position($arms, coalesce(variant, ''))::INTEGER - 1 AS arm, visitor,
           bit_or(1::UBIGINT << ({place} - {first})::UBIGINT) AS buckets
    FROM events WHERE {where} AND hash(visitor) % {parts} = {part} GROUP BY ALL
) GROUP BY name, arm
"""
_EACH = """
SELECT name, list_position($arms, coalesce(variant, ''))::INTEGER - 1 AS arm, {place} AS place, count(DISTINCT visitor)
FROM events WHERE {where} AND hash(visitor) % {parts} = {part} GROUP BY ALL
"""
_Cell = tuple[int, str, int | None]
"""Number of the name, variant, place of the bucket."""


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
        rows = self._execute(_MOMENTS, self._asked, CELLS_LIMIT + 1)
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
        arms = sorted({variant for _, variant, _ in moments})
        places = [place for _, _, place in moments if place is not None]
        events = sum(count for (_, _, place), (count, _) in moments.items() if place is None)
        parts = max(1, -(-events // _EVENTS_AT_ONCE))
        found: Counter[_Cell] = Counter()
        for part in range(parts):
            if self._unit is Unit.HOUR or (places and max(places) - min(places) >= _BITS):
                for place in (self._place, "NULL::INTEGER"):
                    for name, arm, at, visitors in self._execute(
                        _EACH, self._asked | {"arms": arms}, place=place, parts=parts, part=part
                    ):
                        found[name, arms[arm], at] += visitors
            else:
                self._by_bits(found, arms, places or [0], parts, part)
        return found

    def _by_bits(self, found: Counter[_Cell], arms: list[str], places: list[int], parts: int, part: int) -> None:
        first, length = min(places), max(places) - min(places) + 1
        sums = ", ".join(f"sum((buckets >> {bit}) & 1)" for bit in range(length))
        asked = self._asked | {"arms": arms}
        for name, arm, each, visitors in self._execute(_BY_BITS, asked, sums=sums, first=first, parts=parts, part=part):
            found[name, arms[arm], None] += visitors
            for bit, number in enumerate(each):
                found[name, arms[arm], first + bit] += int(number)

    def _execute(self, statement: str, asked: dict[str, object], limit: int = 1 << 30, **words: object) -> list[Any]:
        text = statement.format(**({"place": self._place, "where": self._where} | words))
        return self._connection.execute(text, asked).fetchmany(limit)


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
