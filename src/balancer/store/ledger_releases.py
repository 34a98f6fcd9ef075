"""The report's other question: visitors and events of a split, by the release that each visitor was exposed by.

Invariants:
    * Every visitor of the report is in one cell, and in none else: the cells of a variant add up to its visitors.
    * What a visitor did counts for the release of the exposure, whichever one served it.

The release is the one that answered the exposure. Where HAProxy itself did (a beacon, our script) or another branch's
instance, it is the one that the branch had then. Used by the embedded engine.
"""

from collections.abc import Sequence

import duckdb

from balancer.domain.entry import EXPOSURE
from balancer.domain.split import SplitId
from balancer.stats.moments import Moments
from balancer.stats.tally import Mark, ReleaseEvent, ReleaseExposed, ReleaseTally

# `arg_min` passes over releases that are null: of several exposures of one visitor the first that tells one.
_VISITORS = """
WITH marks AS (
    SELECT unnest($variants_of_marks) AS variant, unnest($releases_of_marks) AS marked, unnest($times_of_marks) AS since
), answered AS (
    SELECT visitor, min(ts) AS seen_at, arg_min(CASE WHEN NOT stood_in THEN release END, ts) AS answering
    FROM events WHERE app = $app AND split = $split AND name = $exposure GROUP BY visitor
), counted AS (
    SELECT visitor, variant, assigned_at, answering, coalesce(seen_at, assigned_at) AS seen_at
    FROM exposures LEFT JOIN answered USING (visitor)
    WHERE app = $app AND split = $split AND NOT multiple
      AND list_contains($phases, phase) AND list_contains($variants, variant)
), people AS MATERIALIZED (
    SELECT visitor, assigned_at, (row_number() OVER ())::INTEGER AS v, counted.variant AS variant,
           coalesce(answering, marked) AS release
    FROM counted ASOF LEFT JOIN marks ON counted.variant = marks.variant AND seen_at >= since
)
"""
_NUMBERS = """
SELECT app.id, exposure.id FROM words AS app, words AS exposure
WHERE app.kind = 'app' AND app.word = ? AND exposure.kind = 'name' AND exposure.word = ?
"""
_EXPOSED = f"{_VISITORS} SELECT variant, release, count(*) FROM people GROUP BY ALL ORDER BY ALL"  # noqa: S608 # constants
_EVENTS = f"""
{_VISITORS}, did AS (
    SELECT word, people.variant AS variant, people.release AS release, v, value
    FROM events JOIN people USING (visitor) JOIN words ON words.id = events.name
    WHERE events.app = $app AND split = $split AND ts >= people.assigned_at AND words.app <> 0
)
SELECT word, variant, release, count(*), count(DISTINCT v), count(value), avg(value), var_pop(value) * count(value)
FROM did GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 # constants


def read_releases(
    connection: duckdb.DuckDBPyConnection,
    app: str,
    split: SplitId,
    phases: Sequence[int],
    variants: Sequence[str],
    marks: Sequence[Mark],
) -> ReleaseTally:
    """Return the cells of a split by variant and release, all as of one moment."""
    connection.begin()
    numbers = connection.execute(_NUMBERS, [app, EXPOSURE]).fetchone()
    if numbers is None:
        return ReleaseTally()
    asked = {
        "app": numbers[0],
        "exposure": numbers[1],
        "split": split.number,
        "phases": list(phases),
        "variants": list(variants),
        "variants_of_marks": [mark.variant for mark in marks],
        "releases_of_marks": [mark.release for mark in marks],
        "times_of_marks": [mark.since for mark in marks],
    }
    exposed = connection.execute(_EXPOSED, asked).fetchall()
    did = connection.execute(_EVENTS, asked).fetchall()
    connection.rollback()
    return ReleaseTally(
        exposed=tuple(
            ReleaseExposed(variant=variant, release=release, visitors=visitors)
            for variant, release, visitors in exposed
        ),
        events=tuple(
            ReleaseEvent(
                event=event,
                variant=variant,
                release=release,
                count=count,
                converted=converted,
                values=Moments(n=valued, mean=mean, m2=m2) if valued else Moments.empty(),
            )
            for event, variant, release, count, converted, valued, mean, m2 in did
        ),
    )
