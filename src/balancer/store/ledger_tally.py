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

# `arm` is the place of the variant among those asked for, and `v` a number for the visitor: grouping millions of rows
# is a matter of how wide the keys are (2 M events of 1 M visitors: 0.9 s of CPU, 1.5 s with UUIDs and texts).
_VISITORS = """
SELECT visitor, assigned_at, (row_number() OVER ())::INTEGER AS v, phase,
       list_position($variants, variant)::SMALLINT AS arm
FROM exposures
WHERE app = $app AND split = $split AND NOT multiple
  AND list_contains($phases, phase) AND list_contains($variants, variant)
"""
_EXPOSED = f"SELECT phase, arm, count(*) FROM ({_VISITORS}) GROUP BY ALL ORDER BY ALL"  # noqa: S608 # constants
_MULTIPLE = "SELECT count(*) FROM exposures WHERE app = $app AND split = $split AND multiple"
_WORDS = "SELECT id, word FROM words WHERE kind = 'name' AND app = ?"
_EVENTS = f"""
WITH did AS MATERIALIZED (
    SELECT v, phase, arm, name, value
    FROM (SELECT visitor, ts, name, value FROM events
          WHERE app = $app AND split = $split AND NOT list_contains($ours, name))
    JOIN ({_VISITORS}) USING (visitor)
    WHERE ts >= assigned_at
), sums AS (
    SELECT any_value(phase) AS phase, any_value(arm) AS arm, name, coalesce(sum(value), 0) AS total
    FROM did GROUP BY v, name
), per_visitor AS (
    SELECT phase, arm, name, count(*) AS converted, avg(total) AS mean, var_pop(total) * count(*) AS m2
    FROM sums GROUP BY ALL
), per_event AS (
    SELECT phase, arm, name, count(*) AS count, count(value) AS valued,
           avg(value) AS value_mean, var_pop(value) * count(value) AS value_m2
    FROM did GROUP BY ALL
)
SELECT name, phase, arm, count, converted, valued, value_mean, value_m2, mean, m2
FROM per_event JOIN per_visitor USING (phase, arm, name)
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

    exposed = tuple(
        Exposed(phase=phase, variant=variants[arm - 1], visitors=visitors) for phase, arm, visitors in cells
    )
    numbers = {(names[name], phase, variants[arm - 1]): rest for name, phase, arm, *rest in did}
    return SplitTally(
        exposed=exposed,
        multiple=multiple,
        events=tuple(
            _event_tally(event, cell, numbers.get((event, cell.phase, cell.variant)))
            for event in sorted({event for event, _, _ in numbers})
            for cell in exposed
        ),
    )


def _event_tally(event: str, cell: Exposed, numbers: Sequence[float] | None) -> EventTally:
    """Return what the visitors of a cell did of an event; `numbers` as `_EVENTS` gives them, if any."""
    count, converted, valued, value_mean, value_m2, mean, m2 = numbers or (0, 0, 0, 0.0, 0.0, 0.0, 0.0)
    active = Moments(n=int(converted), mean=mean, m2=m2)
    return EventTally(
        event=event,
        phase=cell.phase,
        variant=cell.variant,
        count=int(count),
        converted=int(converted),
        values=Moments(n=int(valued), mean=value_mean, m2=value_m2) if valued else Moments.empty(),
        per_visitor=active.with_zeros(cell.visitors - int(converted)),
    )
