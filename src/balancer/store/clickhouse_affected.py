"""Whom errors and the like befell in a split, as ClickHouse answers.

Invariants:
    * A visitor's first assignment decides: the earliest of what the rows of these events and of exposures say.
    * A visitor seen in two variants, in whichever of them, is in no cell.
    * Visitors are reckoned on their shard; counts travel, and are added here.

Used by the ClickHouse engine.
"""

from collections import Counter

from balancer.domain.entry import EXPOSURE
from balancer.domain.split import SplitId
from balancer.stats.affected import Affected, AffectedCell, AffectedQuestion
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_progress import last_batch
from balancer.store.clickhouse_text import in_list, integers, quoted


def read_affected(cluster: Cluster, database: str, question: AffectedQuestion) -> Affected:
    """Return whom the events of a question befell, all as of one batch. Raises LedgerUnavailable."""
    if not question.events:
        return Affected()
    batch = last_batch(cluster.first, database)
    split = SplitId(question.split).number
    seen = f"{database}.events WHERE app = {quoted(question.app)} AND batch <= {batch:d} AND split = {split:d}"
    befell = f"{seen} AND has({in_list(question.events)}, name)"
    first = f"""
        SELECT visitor, min((assigned_at, phase, variant)) AS first, uniqExact(variant) > 1 AS multiple
        FROM {seen} AND has({in_list((EXPOSURE, *question.events))}, name)
          AND visitor IN (SELECT visitor FROM {befell})
        GROUP BY visitor
    """  # noqa: S608 # quoted texts and integers
    people = f"""
        SELECT visitor, tupleElement(first, 1) AS born, tupleElement(first, 2) AS phase,
               tupleElement(first, 3) AS variant
        FROM ({first}) WHERE NOT multiple
    """  # noqa: S608 # quoted texts and integers
    sql = f"""
        SELECT name, phase, variant, count() FROM (
            SELECT visitor, name, min(ts) AS ts FROM {befell} GROUP BY visitor, name
        ) AS happened ALL INNER JOIN ({people}) AS people USING visitor
        WHERE ts < born + {question.until:d} AND has({integers(question.phases)}, toInt64(phase))
          AND has({in_list(question.variants)}, variant)
        GROUP BY name, phase, variant
    """  # noqa: S608 # quoted texts and integers
    counts: Counter[tuple[str, int, str]] = Counter()
    for rows in cluster.ask(sql):
        for name, phase, variant, visitors in rows:
            counts[str(name), int(str(phase)), str(variant)] += int(str(visitors))
    return Affected(
        cells=tuple(
            AffectedCell(event=event, phase=phase, variant=variant, visitors=counts[event, phase, variant])
            for event, phase, variant in sorted(counts)
        )
    )
