"""Visitors and events of a split by the release that each visitor was exposed by, as ClickHouse answers.

Invariants:
    * Every visitor of the report is in one cell, and in none else: the cells of a variant add up to its visitors.
    * What a visitor did counts for the release of the exposure, whichever one served it.

The release is the one that answered the exposure; where HAProxy itself did, or another branch's instance, the one that
the branch had then. Used by the ClickHouse engine.
"""

from collections import Counter
from collections.abc import Sequence

from balancer.domain.entry import EXPOSURE
from balancer.domain.split import SplitId
from balancer.stats.moments import Moments
from balancer.stats.tally import Mark, ReleaseEvent, ReleaseExposed, ReleaseTally
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_moments import of_row
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import in_list, integers, quoted

_Cell = tuple[str, int | None]
# Stands for a release that nothing tells: their ids begin with 1.
_UNTOLD = 0
_ANSWERED = "NOT stood_in AND isNotNull(release)"


def read_releases(
    cluster: Cluster,
    database: str,
    app: str,
    split: SplitId,
    phases: Sequence[int],
    variants: Sequence[str],
    marks: Sequence[Mark],
) -> ReleaseTally:
    """Return the cells of a split by variant and release, all as of one batch. Raises LedgerUnavailable."""
    batch = last_batch(cluster.first, database)
    rows_of = f"{database}.events WHERE app = {quoted(app)} AND split = {split.number:d} AND batch <= {batch:d}"
    people = f"""
        SELECT visitor, born, variant, if(answered, toInt64(answering), toInt64({_marked(marks)})) AS serving
        FROM (
            SELECT visitor, tupleElement(first, 1) AS born, tupleElement(first, 2) AS phase,
                   tupleElement(first, 3) AS variant, multiple, seen_at, answered, tupleElement(told, 2) AS answering
            FROM (
                SELECT visitor, min((assigned_at, phase, variant)) AS first, uniqExact(variant) > 1 AS multiple,
                       min(ts) AS seen_at, countIf({_ANSWERED}) > 0 AS answered,
                       minIf((ts, assumeNotNull(release)), {_ANSWERED}) AS told
                FROM {rows_of} AND name = {quoted(EXPOSURE)} GROUP BY visitor
            )
        )
        WHERE NOT multiple AND has({integers(phases)}, toInt64(phase)) AND has({in_list(variants)}, variant)
    """  # noqa: S608 # quoted texts and integers
    exposed: Counter[_Cell] = Counter()
    for rows in cluster.ask(f"SELECT variant, serving, count() FROM ({people}) GROUP BY variant, serving"):  # noqa: S608
        for variant, release, visitors in rows:
            exposed[_cell(variant, release)] += int(str(visitors))
    counts: Counter[tuple[str, _Cell]] = Counter()
    converted: Counter[tuple[str, _Cell]] = Counter()
    values: dict[tuple[str, _Cell], Moments] = {}
    sql = f"""
        SELECT name, variant, serving, count(), uniqExact(visitor), countIf(isNotNull(value)),
               avgIf(assumeNotNull(value), isNotNull(value)), varPopStableIf(assumeNotNull(value), isNotNull(value))
        FROM (
            SELECT visitor, ts, name, value FROM {rows_of} AND substring(name, 1, 1) != '$'
        ) AS happened ALL INNER JOIN ({people}) AS people USING visitor
        WHERE ts >= born GROUP BY name, variant, serving
    """  # noqa: S608 # quoted texts and integers
    for rows in cluster.ask(sql):
        for name, variant, release, count, visitors, n, mean, variance in rows:
            key = str(name), _cell(variant, release)
            counts[key] += int(str(count))
            converted[key] += int(str(visitors))
            values[key] = values.get(key, Moments.empty()) + of_row(n, mean, variance)
    return ReleaseTally(
        exposed=tuple(
            ReleaseExposed(variant=cell[0], release=cell[1], visitors=exposed[cell])
            for cell in sorted(exposed, key=_order)
        ),
        events=tuple(
            ReleaseEvent(
                event=name,
                variant=cell[0],
                release=cell[1],
                count=counts[name, cell],
                converted=converted[name, cell],
                values=values[name, cell],
            )
            for name, cell in sorted(counts, key=lambda key: (key[0], *_order(key[1])))
        ),
    )


def _marked(marks: Sequence[Mark]) -> str:
    """Return the release that a visitor's branch had when it was seen, as an expression."""
    latest_first = sorted(marks, key=lambda mark: -mark.since)
    cases = "".join(
        f"variant = {quoted(mark.variant)} AND seen_at >= {mark.since:d}, toInt64({mark.release:d}), "
        for mark in latest_first
    )
    return f"multiIf({cases}toInt64({_UNTOLD}))" if cases else str(_UNTOLD)


def _cell(variant: object, release: object) -> _Cell:
    number = int(str(release))
    return str(variant), None if number == _UNTOLD else number


def _order(cell: _Cell) -> tuple[str, bool, int]:
    """Return where a cell stands: by variant and release, what nothing tells at the end."""
    variant, release = cell
    return variant, release is None, release or 0
