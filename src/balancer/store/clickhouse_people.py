"""The exposed visitors of a split, as ClickHouse finds them on one shard: who they are, and in which cell each one is.

Invariants:
    * A visitor's first exposure decides: the earliest assignment, whatever order they came in.
    * A visitor seen in two variants, as known at `as_of`, is in no cell.
    * What arrived after `as_of`, or is of a batch that is not wholly in, is as if it were not there.

A cell is one integer, the same on all shards. Used by `clickhouse_cells`.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from balancer.domain.entry import EXPOSURE
from balancer.domain.split import SplitId
from balancer.stats.cells import SplitQuestion
from balancer.store.cell_sums import BUCKETS, BUCKETS_LIMIT, DAY_MILLISECONDS, Place, place_of
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_text import in_list, integers, quoted


class People:
    """The exposed visitors that a question is about, as a subquery."""

    def __init__(
        self, cluster: Cluster, database: str, question: SplitQuestion, last_batch: int, untils: Sequence[int]
    ) -> None:
        """Look at what there is up to `last_batch`; `untils` are ends of windows, in order."""
        self._question = question
        self._untils = untils
        self.seen = f"app = {quoted(question.app)} AND arrived <= {question.as_of:d} AND batch <= {last_batch:d}"
        """The condition on rows."""
        self._events = f"{database}.events"
        self._tells, self._told = "", ""
        self._buckets: list[str] = []
        if question.dimension is not None:
            self._cut_by(cluster, question.dimension)

    def sql(self) -> str:
        """Return a query of columns `visitor`, `born` (of the assignment, in milliseconds), `cell` and `arm`."""
        phases, variants = len(self._question.phases), len(self._question.variants)
        phase = f"toInt64(indexOf({integers(self._question.phases)}, toInt64(phase))) - 1"
        ripe = " + ".join(f"toInt64(born <= {self._question.as_of - until:d})" for until in self._untils) or "0"
        bucket = "0"
        if self._told:
            place = f"indexOf({in_list(self._buckets)}, told)"
            bucket = f"if(tells, if({place} = 0, {BUCKETS - 1}, toInt64({place})), 0)"
        return f"""
            SELECT visitor, born, toInt64(indexOf({in_list(self._question.variants)}, variant)) - 1 AS arm,
                   ((({self._day()} * {phases} + {phase}) * {variants} + arm) * {BUCKETS} + {bucket})
                   * {len(self._untils) + 1} + {ripe} AS cell
            FROM ({self._known()})
            WHERE {self._asked()}
        """  # noqa: S608 # quoted texts and integers

    def place(self, cell: int) -> Place:
        """Return what a `cell` stands for."""
        return place_of(cell, self._question, len(self._untils), self._buckets)

    def multiple(self, cluster: Cluster) -> int:
        """Return how many visitors were seen in two variants. Raises LedgerUnavailable."""
        found = cluster.ask(f"SELECT count() FROM ({self._known()}) WHERE multiple")  # noqa: S608
        return sum(int(str(rows[0][0])) for rows in found)

    def _known(self) -> str:
        number = SplitId(self._question.split).number
        told = ""
        if self._told:
            first = f"minIf((ts, {self._told}), {self._tells})"  # later ones may be of other releases, or tell more
            told = f", countIf({self._tells}) > 0 AS tells, tupleElement({first}, 2) AS told"
        return f"""
            SELECT visitor, tupleElement(first, 1) AS born, tupleElement(first, 2) AS phase,
                   tupleElement(first, 3) AS variant, multiple{", tells, told" if told else ""}
            FROM (
                SELECT visitor, min((assigned_at, phase, variant)) AS first, uniqExact(variant) > 1 AS multiple{told}
                FROM {self._events} WHERE {self.seen} AND name = {quoted(EXPOSURE)} AND split = {number:d}
                GROUP BY visitor
            )
        """  # noqa: S608 # quoted texts and integers

    def _asked(self) -> str:
        phases, variants = integers(self._question.phases), in_list(self._question.variants)
        return f"NOT multiple AND has({phases}, toInt64(phase)) AND has({variants}, variant)"

    def _cut_by(self, cluster: Cluster, dimension: str) -> None:
        """Find the most frequent values of the dimension."""
        if dimension == "release":
            self._tells, self._told = "(NOT stood_in AND isNotNull(release))", "toString(assumeNotNull(release))"
        else:
            key = quoted(msgspec.json.encode(dimension).decode()[1:-1])  # as it stands in JSON
            self._tells = f"visitParamHas(ifNull(dims, ''), {key})"
            self._told = f"visitParamExtractString(ifNull(dims, ''), {key})"
        counts: Counter[str] = Counter()
        sql = f"SELECT told, count() FROM ({self._known()}) WHERE {self._asked()} AND tells GROUP BY told"  # noqa: S608
        for rows in cluster.ask(sql):
            for value, count in rows:
                counts[str(value)] += int(str(count))
        self._buckets = sorted(counts, key=lambda value: (-counts[value], value))[:BUCKETS_LIMIT]

    def _day(self) -> str:
        (_, ahead), *changes = self._question.offsets
        by = f"{ahead:d}"
        if changes:
            cases = "".join(f"born >= {since:d}, toInt64({by:d}), " for since, by in reversed(changes))
            by = f"multiIf({cases}toInt64({ahead:d}))"
        # Rounded down, which `intDiv` is not below 0.
        return f"toInt64(floor((born + {by}) / {DAY_MILLISECONDS}))"
