"""The events as such, as ClickHouse answers it: by name, variant and hour, day, week or month.

Invariants:
    * Everything is as of one batch.
    * The different visitors of a cell are counted exactly: each is on one shard, so the counts of shards add.

Used by the ClickHouse engine.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from balancer.domain.calendar import DAY_MILLISECONDS, HOUR_MILLISECONDS, Unit
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput
from balancer.stats.moments import Moments
from balancer.stats.raw import RawCell, RawCells, RawQuestion
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_moments import of_row
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import quoted
from balancer.store.ledger_raw import CELLS_LIMIT

_Cell = tuple[str, str, int | None]
"""Name, variant, place of the bucket."""
_Found = Mapping[_Cell, tuple[int, Moments, int]]
"""Events, moments of their values, visitors."""


def read_raw(cluster: Cluster, database: str, question: RawQuestion) -> RawCells:
    """Return the cells that have events. Raises InvalidInput where they are too many, LedgerUnavailable."""
    unit = None if question.unit is None else Unit(question.unit)
    batch = last_batch(cluster.first, database)
    conditions = [f"app = {quoted(question.app)}", f"batch <= {batch:d}"]
    conditions.append("substring(name, 1, 1) != '$'" if question.event is None else f"name = {quoted(question.event)}")
    if question.split is not None:
        conditions.append(f"split = {SplitId(question.split).number:d}")
    if question.since is not None:
        conditions.append(f"ts >= {question.since:d}")
    if question.until is not None:
        conditions.append(f"ts < {question.until:d}")
    rows = f"{database}.events WHERE {' AND '.join(conditions)}"
    found = dict(_cells(cluster, rows, "toInt64(0)", whole=True))
    if unit is not None:
        found |= _cells(cluster, rows, _place(unit, question.offsets), whole=False)
    return RawCells(
        cells=tuple(
            RawCell(
                event=name,
                variant=variant,
                bucket=None if place is None else _bucket(unit, place),
                count=count,
                values=values,
                visitors=visitors,
            )
            for (name, variant, place), (count, values, visitors) in sorted(
                found.items(), key=lambda each: (each[0][0], each[0][1], each[0][2] is not None, each[0][2] or 0)
            )
        )
    )


def _cells(cluster: Cluster, rows: str, place: str, *, whole: bool) -> _Found:
    sql = f"""
        SELECT name, variant, {place} AS place, count(), countIf(isNotNull(value)),
               avgIf(assumeNotNull(value), isNotNull(value)), varPopStableIf(assumeNotNull(value), isNotNull(value)),
               uniqExact(visitor)
        FROM {rows} GROUP BY name, variant, place LIMIT {CELLS_LIMIT + 1}
    """  # noqa: S608 # quoted texts and integers
    found: dict[_Cell, tuple[int, Moments, int]] = {}
    for of_shard in cluster.ask(sql):
        for name, variant, at, count, valued, mean, variance, visitors in of_shard:
            cell = str(name), str(variant), None if whole else int(str(at))
            events, values, people = found.get(cell, (0, Moments.empty(), 0))
            found[cell] = (
                events + int(str(count)),
                values + of_row(valued, mean, variance),
                people + int(str(visitors)),
            )
    if len(found) > CELLS_LIMIT:
        raise InvalidInput(
            f"these are more than {CELLS_LIMIT} figures: name an event, a shorter range, or longer buckets"
        )
    return found


def _place(unit: Unit, walls: Sequence[tuple[int, int]]) -> str:
    """Return what gives the place of an event's bucket: text of numbers alone."""
    hour = HOUR_MILLISECONDS
    match unit:
        case Unit.HOUR:
            # Where the clock was changed within an hour, another one begins.
            return _piecewise(
                [
                    (f"(toInt64(floor((ts + {ahead:d}) / {hour})) * {hour} - {ahead:d})", since)
                    for since, ahead in walls
                ],
                begins=True,
            )
        case Unit.DAY:
            return _day(walls)
        case Unit.WEEK:
            return f"toInt64(floor(({_day(walls)} + 3) / 7))"  # 1970 began on a Thursday
        case Unit.MONTH:
            return f"toInt64(toRelativeMonthNum(toDate({_day(walls)})) - toRelativeMonthNum(toDate(0)))"


def _day(walls: Sequence[tuple[int, int]]) -> str:
    ahead = _piecewise([(f"toInt64({ahead:d})", since) for since, ahead in walls])
    return f"toInt64(floor((ts + {ahead}) / {DAY_MILLISECONDS}))"


def _piecewise(pieces: Sequence[tuple[str, int]], *, begins: bool = False) -> str:
    (text, _), *later = pieces
    cases = "".join(
        f"ts >= {since:d}, {f'greatest({each}, toInt64({since:d}))' if begins else each}, "
        for each, since in reversed(later)
    )
    return f"multiIf({cases}{text})" if cases else text


def _bucket(unit: Unit | None, place: int) -> int:
    """Return the number of a bucket, as `RawCell` has it."""
    match unit:
        case Unit.WEEK:
            return place * 7 - 3
        case Unit.MONTH:
            return (date(1970 + place // 12, place % 12 + 1, 1) - date(1970, 1, 1)).days
        case _:
            return place
