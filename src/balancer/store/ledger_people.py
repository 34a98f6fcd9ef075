"""The exposed visitors of a split, as the embedded engine finds them: who they are, and in which cell each one is.

Invariants:
    * A visitor's first exposure decides: the earliest assignment, whatever order they came in.
    * A visitor seen in two variants, as known at `as_of`, is in no cell.
    * What arrived after `as_of` is as if it were not there.

A cell is one integer, for groups of millions of rows are a matter of how wide their keys are. Visitors are asked about
in spans of their assignment, a number of them at a time: memory is bounded, and of the events only those of the time
around are read, for they stand in the order of their arrival. Used by `ledger_cells`.
"""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

import duckdb

from balancer.domain.entry import EXPOSURE
from balancer.domain.split import SplitId
from balancer.stats.cells import SplitQuestion
from balancer.store.cell_sums import BUCKETS, BUCKETS_LIMIT, DAY_MILLISECONDS, Place, place_of

# 1 M: what they did takes 200 MB of the engine's 400. Half as many take half, and read more events twice.
AT_ONCE = 1_000_000
HOUR_MILLISECONDS = 3_600_000
# The table of first exposures is of now. What was known before is found among the events, more slowly, and kept.
_KNOWN_NOW = "SELECT visitor, assigned_at, phase, variant, multiple FROM exposures WHERE app = $app AND split = $split"
_KNOWN_THEN = "SELECT visitor, assigned_at, phase, variant, multiple FROM known_then"
_FIND_KNOWN_THEN = """
CREATE TEMP TABLE known_then AS
SELECT visitor, first.assigned_at AS assigned_at, first.phase AS phase, first.variant AS variant, multiple
FROM (
    SELECT visitor, min({'assigned_at': assigned_at, 'phase': phase, 'variant': variant}) AS first,
           min(variant) <> max(variant) AS multiple
    FROM events WHERE app = $app AND split = $split AND name = $exposure AND arrived <= $as_of GROUP BY visitor)
"""
_LATER = """
SELECT EXISTS (FROM events WHERE arrived > $as_of AND app = $app AND split = $split AND name = $exposure)
"""
# The earliest exposure that tells it: of several rows, later ones may be of other releases, or tell more.
_FIND_TOLD = """
CREATE TEMP TABLE told AS SELECT visitor, min({{'ts': ts, 'told': {told}}}).told AS told
FROM events WHERE app = $app AND split = $split AND name = $exposure AND arrived <= $as_of AND {told} IS NOT NULL
GROUP BY visitor
"""
_TOLD = "LEFT JOIN told USING (visitor)"
_RELEASE = "CASE WHEN NOT stood_in THEN release END::VARCHAR"
_OF_DIMS = "json_extract_string(dims, $pointer)"
_ASKED = "NOT multiple AND list_contains($phases, phase) AND list_contains($variants, variant)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The visitors who were assigned from `first` to `last`, both included, in milliseconds."""

    first: int
    last: int
    visitors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The visitors of a day, who were assigned from `first` to `last`, both included, in milliseconds."""

    first: int
    last: int
    visitors: int
    fingerprint: int
    """Another one where any visitor, assignment or cell is: 64 bits over all of them."""


class People:
    """The exposed visitors that a question is about, as a subquery."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, question: SplitQuestion, app: int, untils: Sequence[int]
    ) -> None:
        """Look at what there is, in the transaction of `connection`; `untils` are ends of windows, in order."""
        self._question = question
        self._untils = untils
        self.parameters: dict[str, object] = {
            "app": app,
            "split": SplitId(question.split).number,
            "exposure": _exposure(connection),
            "as_of": question.as_of,
            "phases": list(question.phases),
            "variants": list(question.variants),
        }
        self.is_now = not connection.execute(_LATER, self._some("app", "split", "exposure", "as_of")).fetchall()[0][0]
        """Whether all exposures there are had arrived at `as_of`."""
        self._known = _KNOWN_NOW if self.is_now else _KNOWN_THEN
        if not self.is_now:
            connection.execute(_FIND_KNOWN_THEN, self._some("app", "split", "exposure", "as_of"))
        self._told = ""
        self._buckets: list[str] = []
        if question.dimension is not None:
            self._cut_by(connection, question.dimension)
        self.visitors: Counter[Place] = Counter()
        self.days: dict[int, Day] = {}
        self._hours: dict[int, tuple[Span, set[int]]] = {}
        """The span of each hour that has visitors, in order, and the days it belongs to."""
        self._count(connection)

    def sql(self, span: Span | None = None) -> str:
        """Return a query of `visitor`, `born` (the assignment, in milliseconds), `cell`, `place` (of the variant)."""
        among = f"AND assigned_at BETWEEN {span.first:d} AND {span.last:d}" if span else ""
        ripe = " + ".join(f"(assigned_at <= $as_of - {until:d})::INTEGER" for until in self._untils) or "0"
        arm = "(list_position($phases, phase) - 1) * len($variants) + list_position($variants, variant) - 1"
        bucket = f"coalesce(list_position($buckets, told), if(told IS NULL, 0, {BUCKETS - 1}))" if self._told else "0"
        return f"""
            SELECT visitor, assigned_at AS born,
                   ((({self._day()} * len($phases) * len($variants) + {arm}) * {BUCKETS} + {bucket})
                    * {len(self._untils) + 1} + {ripe})::BIGINT AS cell,
                   list_position($variants, variant) - 1 AS place
            FROM ({self._known}) {self._told} WHERE {_ASKED} {among}
        """  # noqa: S608 # constants and integers

    def place(self, cell: int) -> Place:
        """Return what a `cell` stands for."""
        return place_of(cell, self._question, len(self._untils), self._buckets)

    def multiple(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Return how many visitors were seen in two variants."""
        found = f"SELECT count(*) FROM ({self._known}) WHERE multiple"  # noqa: S608 # constants
        return int(connection.execute(found, self.used_by(found)).fetchall()[0][0])

    def used_by(self, sql: str) -> dict[str, object]:
        """Return the parameters that stand in a query: DuckDB refuses others."""
        return {name: value for name, value in self.parameters.items() if f"${name}" in sql}

    def _some(self, *names: str) -> dict[str, object]:
        return {name: self.parameters[name] for name in names}

    def _cut_by(self, connection: duckdb.DuckDBPyConnection, dimension: str) -> None:
        """Find the most frequent values of the dimension."""
        if dimension == "release":
            told = _RELEASE
        else:
            told = _OF_DIMS
            self.parameters["pointer"] = "/" + dimension.replace("~", "~0").replace("/", "~1")
        find = _FIND_TOLD.format(told=told)
        connection.execute(find, self.used_by(find))
        self._told = _TOLD
        frequent = f"""
            SELECT told FROM ({self._known}) {self._told} WHERE {_ASKED} AND told IS NOT NULL
            GROUP BY told ORDER BY count(*) DESC, told LIMIT {BUCKETS_LIMIT}
        """  # noqa: S608 # constants
        self._buckets = [value for (value,) in connection.execute(frequent, self.used_by(frequent)).fetchall()]
        self.parameters["buckets"] = self._buckets

    def _count(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Find how many visitors there are in each cell, day and hour."""
        sql = f"""
            SELECT cell, born // {HOUR_MILLISECONDS}, count(*), min(born), max(born), bit_xor(hash(visitor, born, cell))
            FROM ({self.sql()}) GROUP BY ALL ORDER BY 2, 4
        """  # noqa: S608 # constants and integers
        for cell, hour, count, first, last, fingerprint in connection.execute(sql, self.used_by(sql)).fetchall():
            place = self.place(cell)
            self.visitors[place] += count
            day = self.days.get(place.day, Day(first=first, last=last, visitors=0, fingerprint=0))
            self.days[place.day] = Day(
                first=min(first, day.first),
                last=max(last, day.last),
                visitors=day.visitors + count,
                fingerprint=day.fingerprint ^ fingerprint,
            )
            span, days = self._hours.get(hour, (Span(first=first, last=last), set()))
            span = Span(first=min(first, span.first), last=max(last, span.last), visitors=span.visitors + count)
            self._hours[hour] = span, days | {place.day}

    def spans(self, but: Container[int] = ()) -> list[Span]:
        """Return the spans to ask about for all days `but` some; visitors of those may be among them."""
        spans: list[Span] = []
        on = False
        for span, days in self._hours.values():
            if all(day in but for day in days):
                on = False
                continue
            if on and spans[-1].visitors + span.visitors <= AT_ONCE:
                spans[-1] = Span(first=spans[-1].first, last=span.last, visitors=spans[-1].visitors + span.visitors)
            else:
                spans.append(span)
            on = True
        return spans

    def _day(self) -> str:
        first, *changes = self._question.offsets
        ahead = f"{first[1]:d}"
        if changes:
            cases = "".join(f"WHEN assigned_at >= {since:d} THEN {by:d} " for since, by in reversed(changes))
            ahead = f"CASE {cases}ELSE {first[1]:d} END"
        # Rounded down, which `//` is not below 0.
        return f"floor((assigned_at + {ahead}) / {DAY_MILLISECONDS}.0)::BIGINT"


def _exposure(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the name of exposures; 0, which nothing has, where there was none yet."""
    rows = connection.execute(
        "SELECT id FROM words WHERE kind = 'name' AND app = 0 AND word = ?", [EXPOSURE]
    ).fetchall()
    return int(rows[0][0]) if rows else 0
