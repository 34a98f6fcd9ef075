"""Every event of a split, and what names an app has, as ClickHouse answers: the tally of a report.

Invariants:
    * An event counts for an exposed visitor from the assignment on, and under the split it happened in.
    * Each exposed visitor gives one number for each event name, 0 where there is none.

Used by the ClickHouse engine.
"""

from collections import Counter
from collections.abc import Sequence

from balancer.domain.split import SplitId
from balancer.stats.cells import EventNames, NamedEvents, SplitQuestion
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, Exposed, SplitTally
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_people import People
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import quoted

# The end of the year 9999, in milliseconds: nothing arrives later.
ALWAYS = 253_402_300_799_999
_PER_EVENT = """
SELECT name, cell, count(), countIf(isNotNull(value)), avgIf(assumeNotNull(value), isNotNull(value)),
       varPopStableIf(assumeNotNull(value), isNotNull(value))
FROM ({did}) GROUP BY name, cell
"""
_PER_VISITOR = """
SELECT name, of, count(), count(), avg(total), varPopStable(total)
FROM (SELECT visitor, name, any(cell) AS of, sum(ifNull(value, 0)) AS total FROM ({did}) GROUP BY visitor, name)
GROUP BY name, of
"""


def read_tally(
    cluster: Cluster, database: str, app: str, split: SplitId, phases: Sequence[int], variants: Sequence[str]
) -> SplitTally:
    """Return the cells of a split for these phases and variants, all as of one batch. Raises LedgerUnavailable."""
    question = SplitQuestion(
        app=app, split=split, phases=tuple(phases), variants=tuple(variants), measures=(), as_of=ALWAYS
    )
    people = People(cluster, database, question, last_batch(cluster.first, database), ())
    did = f"""
        SELECT visitor, name, value, cell FROM (
            SELECT visitor, ts, name, value FROM {database}.events
            WHERE {people.seen} AND split = {split.number:d} AND substring(name, 1, 1) != '$'
        ) AS happened ALL INNER JOIN ({people.sql()}) AS people USING visitor
        WHERE ts >= born
    """  # noqa: S608 # quoted texts and integers
    visitors: Counter[tuple[int, str]] = Counter()
    for rows in cluster.ask(f"SELECT cell, count() FROM ({people.sql()}) GROUP BY cell"):  # noqa: S608
        for cell, count in rows:
            place = people.place(int(str(cell)))
            visitors[place.phase, place.variant] += int(str(count))
    events = _moments(cluster, people, _PER_EVENT.format(did=did))
    totals = _moments(cluster, people, _PER_VISITOR.format(did=did))
    exposed = tuple(
        Exposed(phase=phase, variant=variant, visitors=visitors[phase, variant])
        for phase in sorted(phases)
        for variant in variants
        if (phase, variant) in visitors
    )
    return SplitTally(
        exposed=exposed,
        events=tuple(
            _event_tally(name, cell, events, totals) for name in sorted({key[0] for key in totals}) for cell in exposed
        ),
        multiple=people.multiple(cluster),
    )


def read_names(cluster: Cluster, database: str, app: str) -> EventNames:
    """Return the names of an app's events, and how many there are of each. Raises LedgerUnavailable."""
    counts: Counter[str] = Counter()
    valued: Counter[str] = Counter()
    batch = last_batch(cluster.first, database)
    found = cluster.ask(
        f"SELECT name, count(), countIf(isNotNull(value)) FROM {database}.events "  # noqa: S608 # quoted, integers
        f"WHERE app = {quoted(app)} AND batch <= {batch:d} AND substring(name, 1, 1) != '$' GROUP BY name"
    )
    for rows in found:
        for name, count, with_value in rows:
            counts[str(name)] += int(str(count))
            valued[str(name)] += int(str(with_value))
    return EventNames(
        names=tuple(NamedEvents(event=name, events=counts[name], valued=valued[name]) for name in sorted(counts))
    )


_Key = tuple[str, int, str]
_Found = dict[_Key, tuple[int, Moments]]


def _moments(cluster: Cluster, people: People, sql: str) -> _Found:
    """Return by name, phase and variant how many rows there were, and the moments of those with a number."""
    found: _Found = {}
    for rows in cluster.ask(sql):
        for name, cell, count, n, mean, variance in rows:
            place = people.place(int(str(cell)))
            key = str(name), place.phase, place.variant
            known, moments = found.get(key, (0, Moments.empty()))
            found[key] = known + int(str(count)), moments + of_row(n, mean, variance)
    return found


def of_row(n: object, mean: object, variance: object) -> Moments:
    """Return the moments that a row says; without values, their mean is no number."""
    count = int(str(n))
    if count == 0:
        return Moments.empty()
    return Moments(n=count, mean=float(str(mean)), m2=0.0 if count == 1 else float(str(variance)) * count)


def _event_tally(name: str, cell: Exposed, events: _Found, totals: _Found) -> EventTally:
    nothing = 0, Moments.empty()
    count, values = events.get((name, cell.phase, cell.variant), nothing)
    converted, active = totals.get((name, cell.phase, cell.variant), nothing)
    return EventTally(
        event=name,
        phase=cell.phase,
        variant=cell.variant,
        count=count,
        converted=converted,
        values=values,
        per_visitor=active.with_zeros(cell.visitors - converted),
    )
