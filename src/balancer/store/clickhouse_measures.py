"""Measures, as ClickHouse counts them: figures of each visitor in one pass over a shard's events, then of the cells.

Invariants:
    * What two measures both need is counted once.
    * Steps of a funnel are at no time before the one ahead; two events of one moment are in order, as one answer sends
      them.
    * Moments are means and M2 by the algorithms that keep their digits (`varPopStable`).

Used by `clickhouse_cells`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from balancer.stats.cells import Measure, Part, QuantileCell, SplitQuestion, What
from balancer.stats.comoments import CoMoments
from balancer.store.cell_sums import Figures, quantile_of
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_people import People
from balancer.store.clickhouse_text import quoted
from balancer.store.columns import Columns

# The largest number of milliseconds there is: no event is later.
_NEVER = "toInt64(9223372036854775807)"


class _Counting:
    """Where the figures of one measure stand among the columns."""

    def __init__(self, measure: Measure, of_visitor: Columns, steps: list[Columns], of_cell: Columns) -> None:
        self._measure = measure
        self._of_visitor = of_visitor
        self._of_cell = of_cell
        window = f"age >= {measure.since:d} AND age < {measure.until:d}{of_sources(measure)}"
        self._reached: list[int] = []
        x = None
        if measure.steps:
            earlier = ""
            for depth, step in enumerate(measure.steps):
                times = of_visitor.named(f"groupArrayIf(ts, name = {quoted(step)} AND {window})")
                later = f"arrayFilter(t -> t >= {earlier}, {times})" if earlier else times
                if depth == len(steps):
                    steps.append(Columns(f"s{depth}_"))
                earlier = steps[depth].named(f"arrayReduce('min', arrayPushBack({later}, {_NEVER}))")
                self._reached.append(of_cell.place(f"countIf({earlier} < {_NEVER})"))
            y = f"toFloat64({earlier} < {_NEVER})"
            names = ", ".join(quoted(step) for step in dict.fromkeys(measure.steps))
            self._events = self._summed(f"countIf(name IN ({names}) AND {window})")
        else:
            y = self._capped(self._part(measure.y, window))
            self._events = self._summed(f"countIf(name = {quoted(measure.y.event)} AND {window})")
            if measure.x is not None:
                x = self._part(measure.x, window)
            elif measure.covariate:
                before = f"age >= {-measure.covariate:d} AND age < 0{of_sources(measure)}"
                x = self._capped(self._part(measure.y, before))
        self._conversions = of_cell.place(f"countIf({y} != 0)")
        self._y = [of_cell.place(f"avg({y})"), of_cell.place(f"varPopStable({y})")]
        self._x = (
            [
                of_cell.place(f"avg({x})"),
                of_cell.place(f"varPopStable({x})"),
                of_cell.place(f"covarPopStable({y}, {x})"),
            ]
            if x
            else []
        )

    def figures(self, visitors: int, row: Sequence[float]) -> Figures:
        """Return the figures of a cell from its row."""
        mean_y, variance_y = (row[place] for place in self._y)
        mean_x, variance_x, covariance = (row[place] for place in self._x) if self._x else (0.0, 0.0, 0.0)
        single = visitors == 1  # of one, what is left is rounding, and some servers say that it is no number
        return Figures(
            events=int(row[self._events]),
            conversions=int(row[self._conversions]),
            moments=CoMoments(
                n=visitors,
                mean_y=mean_y,
                m2_y=0.0 if single else variance_y * visitors,
                mean_x=mean_x,
                m2_x=0.0 if single else variance_x * visitors,
                c_xy=0.0 if single else covariance * visitors,
            ),
            reached=tuple(int(row[place]) for place in self._reached),
        )

    def _part(self, part: Part, window: str) -> str:
        """Return the number of a visitor, as an expression over its columns."""
        condition = f"name = {quoted(part.event)} AND {window}"
        match part.what:
            case What.HAPPENED:
                return f"toFloat64({self._of_visitor.named(f'countIf({condition})')} > 0)"
            case What.EVENTS:
                return f"toFloat64({self._of_visitor.named(f'countIf({condition})')})"
            case What.VALUES:
                return self._of_visitor.named(f"sumIf(ifNull(value, 0), {condition})")
            case What.VALUED:
                return f"toFloat64({self._of_visitor.named(f'countIf({condition} AND isNotNull(value))')})"

    def _summed(self, counted: str) -> int:
        return self._of_cell.place(f"sum({self._of_visitor.named(counted)})")

    def _capped(self, number: str) -> str:
        cap = self._measure.cap
        return number if cap is None else f"least(greatest({number}, toFloat64({-cap!r})), toFloat64({cap!r}))"


class Counted:
    """The measures of a question."""

    def __init__(self, question: SplitQuestion, database: str, people: People) -> None:
        self._question = question
        self._measures = question.measures
        self._database = database
        self._people = people
        self._of_visitor, self._steps, self._of_cell = Columns("v"), list[Columns](), Columns("c")
        self._countings = [_Counting(each, self._of_visitor, self._steps, self._of_cell) for each in self._measures]

    def figures(self, cluster: Cluster) -> Iterator[tuple[int, list[Figures]]]:
        """Give cells with the figures of each measure, of visitors who did anything; one may come from each shard."""
        if not self._measures:
            return
        since = min(min(each.since, -each.covariate) for each in self._measures)
        until = max(each.until for each in self._measures)
        names = {
            event
            for each in self._measures
            for event in (each.y.event, *each.steps, *([each.x.event] if each.x else []))
        }
        visitors = f"""
            SELECT visitor, any(cell) AS of{self._of_visitor}
            FROM ({self._did(f"name IN ({', '.join(map(quoted, sorted(names)))})")})
            WHERE age >= {since:d} AND age < {until:d} GROUP BY visitor
        """  # noqa: S608 # quoted texts and integers
        for each in self._steps:
            visitors = f"SELECT *{each} FROM ({visitors})"  # noqa: S608
        sql = f"SELECT of, count(){self._of_cell} FROM ({visitors}) GROUP BY of"  # noqa: S608
        for rows in cluster.ask(sql):
            for cell, count, *row in rows:
                numbers = [float(str(number)) for number in row]
                yield int(str(cell)), [each.figures(int(str(count)), numbers) for each in self._countings]

    def quantiles(self, cluster: Cluster, measure: Measure) -> tuple[QuantileCell, ...]:
        """Return the quantile of each variant, where one is asked for; different values travel, with how often."""
        if measure.quantile is None:
            return ()
        sql = f"""
            SELECT arm, assumeNotNull(value) AS valued, count()
            FROM ({self._did(f"name = {quoted(measure.y.event)} AND isNotNull(value){of_sources(measure)}")})
            WHERE age >= {measure.since:d} AND age < {measure.until:d} GROUP BY arm, valued
        """  # noqa: S608 # quoted texts and integers
        found: dict[int, Counter[float]] = {}
        for rows in cluster.ask(sql):
            for arm, value, count in rows:
                found.setdefault(int(str(arm)), Counter())[float(str(value))] += int(str(count))
        return tuple(
            QuantileCell(
                variant=self._question.variants[arm],
                events=sum(counts.values()),
                value=quantile_of(counts, measure.quantile),
            )
            for arm, counts in sorted(found.items())
        )

    def did_of(self, measure: Measure) -> str:
        """Return a query of the events that count for y of a measure: `visitor`, `value`, `arm` and others."""
        which = f"name = {quoted(measure.y.event)}{of_sources(measure)}"
        return f"SELECT * FROM ({self._did(which)}) WHERE age >= {measure.since:d} AND age < {measure.until:d}"  # noqa: S608

    def _did(self, which: str) -> str:
        """Return a query of what the people did, among events that are `which`."""
        return f"""
            SELECT visitor, ts, ts - born AS age, name, value, source, cell, arm
            FROM (
                SELECT visitor, ts, name, value, source FROM {self._database}.events
                WHERE {self._people.seen} AND {which}
            ) AS happened ALL INNER JOIN ({self._people.sql()}) AS people USING visitor
        """  # noqa: S608 # quoted texts and integers


def of_sources(measure: Measure) -> str:
    """Return the condition that only some sources count, or nothing."""
    if not measure.sources:
        return ""
    return f" AND source IN ({', '.join(map(quoted, measure.sources))})"
