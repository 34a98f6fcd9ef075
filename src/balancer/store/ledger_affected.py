"""Whom errors and the like befell in a split, as DuckDB answers.

Invariants:
    * It reads the rows of the events in question, and of the first exposures those of the same visitors.
    * A visitor's first assignment decides: the earliest of what these rows and the first exposure say.
    * A visitor seen in two variants, in whichever of them, is in no cell.

Used by the embedded engine. It is asked every two seconds while a rollout goes on.
"""

import duckdb

from balancer.domain.split import SplitId
from balancer.stats.affected import Affected, AffectedCell, AffectedQuestion
from balancer.store.ledger_measures import Vocabulary

# One pass over the rows, and one over the first exposures; without an exposure `earlier` is null, which is not true.
_BEFELL = """
WITH befell AS (
    SELECT visitor, min({{'at': assigned_at, 'phase': phase}}) AS first, min(variant) AS variant{firsts}
    FROM events WHERE app = $app AND split = $split AND name IN ({names})
    GROUP BY visitor HAVING min(variant) = max(variant)
), known AS (
    SELECT visitor, assigned_at, phase, variant, multiple FROM exposures WHERE app = $app AND split = $split
), people AS (
    SELECT befell.variant AS variant, (known.assigned_at, known.phase) < (first.at, first.phase) AS earlier,
           if(earlier, known.assigned_at, first.at) AS born, if(earlier, known.phase, first.phase) AS phase{columns}
    FROM befell LEFT JOIN known USING (visitor)
    WHERE coalesce(known.variant = befell.variant AND NOT multiple, true)
)
SELECT phase, variant{counts} FROM people
WHERE list_contains($phases, phase) AND list_contains($variants, variant) GROUP BY phase, variant
"""


def read_affected(connection: duckdb.DuckDBPyConnection, question: AffectedQuestion) -> Affected:
    """Return whom the events of a question befell, all as of one moment."""
    connection.begin()
    try:
        vocabulary = Vocabulary.of(connection, question.app)
        if vocabulary is None:
            return Affected()
        events = [event for event in question.events if event in vocabulary.names]
        if not events:
            return Affected()
        numbers = [vocabulary.name(event) for event in events]
        sql = _BEFELL.format(
            names=", ".join(f"{number:d}" for number in numbers),
            firsts="".join(f", min(ts) FILTER (name = {number:d}) AS t{number:d}" for number in numbers),
            columns="".join(f", t{number:d}" for number in numbers),
            counts="".join(f", count(*) FILTER (t{number:d} < born + {question.until:d})" for number in numbers),
        )
        rows = connection.execute(
            sql,
            {
                "app": vocabulary.app,
                "split": SplitId(question.split).number,
                "phases": list(question.phases),
                "variants": list(question.variants),
            },
        ).fetchall()
    finally:
        connection.rollback()
    found = [
        (event, phase, variant, visitors)
        for phase, variant, *counts in rows
        for event, visitors in zip(events, counts, strict=True)
        if visitors
    ]
    return Affected(
        cells=tuple(
            AffectedCell(event=event, phase=phase, variant=variant, visitors=visitors)
            for event, phase, variant, visitors in sorted(found)
        )
    )
