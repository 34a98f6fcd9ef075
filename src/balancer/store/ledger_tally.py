"""The report's question, as DuckDB answers it: visitors and moments of one split.

Invariants:
    * An event counts for an exposed visitor from the assignment on, and under the split it happened in.
    * Each exposed visitor gives one number for each event name, 0 where there is none.
    * Visitors seen in two variants are in no cell.

Events are filtered before the join, and joined once for both the events' moments and the visitors'.
Moments are a mean and M2, never sums of squares. Used by the embedded engine.
"""

from collections.abc import Sequence

import duckdb

from balancer.domain.split import SplitId
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, Exposed, SplitTally

_CELL = """
SELECT visitor, assigned_at, phase, variant FROM exposures
WHERE app = $app AND split = $split AND NOT multiple
  AND list_contains($phases, phase) AND list_contains($variants, variant)
"""
_EXPOSED = f"SELECT phase, variant, count(*) FROM ({_CELL}) GROUP BY ALL ORDER BY ALL"  # noqa: S608 # constants
_MULTIPLE = "SELECT count(*) FROM exposures WHERE app = $app AND split = $split AND multiple"
_WORDS = "SELECT id, word FROM words WHERE kind = 'name' AND app = ?"
_EVENTS = f"""
WITH did AS (
    SELECT phase, variant, name, visitor, count(*) AS n, coalesce(sum(value), 0) AS total,
           count(value) AS valued, avg(value) AS mean, var_pop(value) AS variance
    FROM (SELECT visitor, ts, name, value FROM events
          WHERE app = $app AND split = $split AND NOT list_contains($ours, name))
    JOIN ({_CELL}) USING (visitor)
    WHERE ts >= assigned_at
    GROUP BY GROUPING SETS ((phase, variant, name), (phase, variant, name, visitor))
)
SELECT name, phase, variant,
       any_value(n) FILTER (visitor IS NULL), count(visitor),
       any_value(valued) FILTER (visitor IS NULL), any_value(mean) FILTER (visitor IS NULL),
       any_value(variance) FILTER (visitor IS NULL),
       avg(total) FILTER (visitor IS NOT NULL), var_pop(total) FILTER (visitor IS NOT NULL)
FROM did GROUP BY name, phase, variant
"""  # noqa: S608 # constants


def read_tally(
    connection: duckdb.DuckDBPyConnection,
    app: str,
    split: SplitId,
    phases: Sequence[int],
    variants: Sequence[str],
) -> SplitTally:
    """Return the cells of a split for these phases and variants, all as of one moment."""
    connection.begin()
    found = connection.execute("SELECT id FROM words WHERE kind = 'app' AND word = ?", [app]).fetchone()
    if found is None:
        return SplitTally()
    names = dict(connection.execute(_WORDS, found).fetchall())
    ours = [number for number, _ in connection.execute(_WORDS, [0]).fetchall()]
    where = {"app": found[0], "split": split.number}
    asked = where | {"phases": list(phases), "variants": list(variants)}
    cells = connection.execute(_EXPOSED, asked).fetchall()
    multiple = connection.execute(_MULTIPLE, where).fetchall()[0][0]
    did = connection.execute(_EVENTS, asked | {"ours": ours}).fetchall()
    connection.rollback()

    exposed = tuple(Exposed(phase=phase, variant=variant, visitors=visitors) for phase, variant, visitors in cells)
    by_cell = {(names[name], phase, variant): numbers for name, phase, variant, *numbers in did}
    return SplitTally(
        exposed=exposed,
        multiple=multiple,
        events=tuple(
            _event_tally(event, cell, by_cell.get((event, cell.phase, cell.variant)))
            for event in sorted({event for event, _, _ in by_cell})
            for cell in exposed
        ),
    )


def _event_tally(event: str, cell: Exposed, numbers: Sequence[float] | None) -> EventTally:
    """Return what the visitors of a cell did of an event; `numbers` as `_EVENTS` gives them, if any."""
    count, converted, valued, mean, variance, visitor_mean, visitor_variance = numbers or (0,) * 7
    values = Moments(n=int(valued), mean=mean, m2=variance * valued) if valued else Moments.empty()
    active = (
        Moments(n=int(converted), mean=visitor_mean, m2=visitor_variance * converted) if converted else Moments.empty()
    )
    return EventTally(
        event=event,
        phase=cell.phase,
        variant=cell.variant,
        count=int(count),
        converted=int(converted),
        values=values,
        per_visitor=active.with_zeros(cell.visitors - int(converted)),
    )
