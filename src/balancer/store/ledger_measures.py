"""Measures, as DuckDB counts them: the figures of each visitor in one pass over the events, then those of each cell.

Invariants:
    * What two measures both need is counted once.
    * Steps of a funnel are at no time before the one ahead; two events of one moment are in order, as one answer sends
      them.

Used by `ledger_cells`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from balancer.stats.cells import Measure, Part, What
from balancer.stats.comoments import CoMoments
from balancer.store.cell_sums import Figures
from balancer.store.columns import Columns
from balancer.store.ledger_people import HOUR_MILLISECONDS, People, Span

# 0: no word has it.
_NOTHING = 0
_WORDS = "SELECT kind, app, word, id FROM words WHERE (kind = 'name' AND app IN (0, ?)) OR kind = 'source'"
_OF = {What.HAPPENED: "count(*)", What.EVENTS: "count(*)", What.VALUES: "sum(value)", What.VALUED: "count(value)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The numbers that stand in an app's rows for its names of events, and for sources."""

    app: int
    names: Mapping[str, int]
    sources: Mapping[str, int]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, app: str) -> "Vocabulary | None":
        """Read those of an app; None where it has no rows yet."""
        found = connection.execute("SELECT id FROM words WHERE kind = 'app' AND word = ?", [app]).fetchone()
        if found is None:
            return None
        rows = connection.execute(_WORDS, found).fetchall()
        return cls(
            app=found[0],
            # The platform's own begin with `$` and belong to no app.
            names={word: number for kind, of, word, number in rows if kind == "name" and (of == 0) == (word[0] == "$")},
            sources={word: number for kind, _, word, number in rows if kind == "source"},
        )

    def name(self, word: str) -> int:
        """Return the number of an event's name."""
        return self.names.get(word, _NOTHING)


class _Counting:
    """Where the figures of one measure stand among the columns."""

    def __init__(
        self, measure: Measure, vocabulary: Vocabulary, of_visitor: Columns, steps: Columns, of_cell: Columns
    ) -> None:
        self._vocabulary = vocabulary
        self._of_visitor = of_visitor
        self._measure = measure
        self._cell = of_cell
        window = f"age >= {measure.since:d} AND age < {measure.until:d}{self._of_sources()}"
        x = None
        if measure.steps:
            in_time = [f"list(ts) FILTER (name = {vocabulary.name(step):d} AND {window})" for step in measure.steps]
            times = [self._of_visitor.named(expression) for expression in in_time]
            reached = [steps.named(f"list_min({times[0]})")]
            for later in times[1:]:
                reached.append(steps.named(f"list_min(list_filter({later}, lambda t: t >= {reached[-1]}))"))
            self._reached = [of_cell.place(f"count({each})") for each in reached]
            y = f"({reached[-1]} IS NOT NULL)::DOUBLE"
            names = ", ".join(f"{vocabulary.name(step):d}" for step in dict.fromkeys(measure.steps))
            self._events = self._summed(f"count(*) FILTER (name IN ({names}) AND {window})")
        else:
            self._reached = []
            y = self._capped(self._part(measure.y, window))
            self._events = self._summed(f"count(*) FILTER (name = {vocabulary.name(measure.y.event):d} AND {window})")
            if measure.x is not None:
                x = self._part(measure.x, window)
            elif measure.covariate:
                before = f"age >= {-measure.covariate:d} AND age < 0{self._of_sources()}"
                x = self._capped(self._part(measure.y, before))
        self._conversions = of_cell.place(f"count_if({y} <> 0)")
        # Ones and zeros are told by how many ones there are.
        plain = measure.steps or (measure.y.what is What.HAPPENED and measure.cap is None)
        self._y = [] if plain else [of_cell.place(f"avg({y})"), of_cell.place(f"var_pop({y})")]
        self._x = (
            [of_cell.place(f"avg({x})"), of_cell.place(f"var_pop({x})"), of_cell.place(f"covar_pop({y}, {x})")]
            if x
            else []
        )

    def figures(self, visitors: int, row: Sequence[float]) -> Figures:
        """Return the figures of a cell from its row."""
        share = row[self._conversions] / visitors
        mean_y, variance_y = (row[place] for place in self._y) if self._y else (share, share * (1 - share))
        mean_x, variance_x, covariance = (row[place] for place in self._x) if self._x else (0.0, 0.0, 0.0)
        return Figures(
            events=int(row[self._events]),
            conversions=int(row[self._conversions]),
            moments=CoMoments(
                n=visitors,
                mean_y=mean_y,
                m2_y=variance_y * visitors,
                mean_x=mean_x,
                m2_x=variance_x * visitors,
                c_xy=covariance * visitors,
            ),
            reached=tuple(int(row[place]) for place in self._reached),
        )

    def _part(self, part: Part, window: str) -> str:
        """Return the number of a visitor, as an expression over its columns."""
        counted = f"{_OF[part.what]} FILTER (name = {self._vocabulary.name(part.event):d} AND {window})"
        column = self._of_visitor.named(counted)
        if part.what is What.HAPPENED:
            return f"({column} > 0)::DOUBLE"
        return f"coalesce({column}, 0)::DOUBLE"

    def _summed(self, counted: str) -> int:
        return self._cell.place(f"sum({self._of_visitor.named(counted)})::BIGINT")

    def _capped(self, number: str) -> str:
        cap = self._measure.cap
        return number if cap is None else f"least(greatest({number}, {-cap!r}::DOUBLE), {cap!r}::DOUBLE)"

    def _of_sources(self) -> str:
        return of_sources(self._measure, self._vocabulary)


class Counted:
    """The measures of a question."""

    def __init__(self, measures: Sequence[Measure], vocabulary: Vocabulary, people: People) -> None:
        self._measures = measures
        self._vocabulary = vocabulary
        self._people = people
        self._of_visitor, self._steps, self._of_cell = Columns("v"), Columns("s"), Columns("c")
        self._countings = [
            _Counting(each, vocabulary, self._of_visitor, self._steps, self._of_cell) for each in measures
        ]

    def figures(
        self, connection: duckdb.DuckDBPyConnection, spans: Sequence[Span]
    ) -> Iterator[tuple[int, list[Figures]]]:
        """Give cells with the figures of each measure, of the visitors who did anything; a cell may come again."""
        if not self._measures:
            return
        since = min(min(each.since, -each.covariate) for each in self._measures)
        until = max(each.until for each in self._measures)
        for span in spans:
            sql = f"""
                WITH did AS (
                    SELECT v, cell, ts, ts - born AS age, name, value, source
                    FROM ({self._events(span.first + since, span.last + until)})
                    JOIN (SELECT visitor, born, cell, (row_number() OVER ())::INTEGER AS v
                          FROM ({self._people.sql(span)})) USING (visitor)
                    WHERE ts >= born + {since:d} AND ts < born + {until:d}
                ),
                visitors AS (SELECT cell{self._of_visitor} FROM did GROUP BY v, cell),
                steps AS (SELECT *{self._steps} FROM visitors)
                SELECT cell, count(*){self._of_cell} FROM steps GROUP BY cell
            """  # noqa: S608 # constants and integers
            for cell, visitors, *row in connection.execute(sql, self._people.used_by(sql)).fetchall():
                yield cell, [each.figures(visitors, row) for each in self._countings]

    def quantiles(self, connection: duckdb.DuckDBPyConnection, measure: Measure) -> list[tuple[int, int, float]]:
        """Return of each variant (by its place) how many values there are, and their quantile, where one is asked."""
        if measure.quantile is None or not self._people.days:
            return []
        first = min(day.first for day in self._people.days.values()) + measure.since
        last = max(day.last for day in self._people.days.values()) + measure.until
        sql = f"""
            SELECT place, count(*), quantile_cont(value, {measure.quantile!r}::DOUBLE)
            FROM (SELECT visitor, ts, value, source FROM ({self._events(first, last)})
                  WHERE value IS NOT NULL AND name = {self._vocabulary.name(measure.y.event):d}
                  {of_sources(measure, self._vocabulary)})
            JOIN ({self._people.sql()}) USING (visitor)
            WHERE ts >= born + {measure.since:d} AND ts < born + {measure.until:d}
            GROUP BY place ORDER BY place
        """  # noqa: S608 # constants and integers
        return connection.execute(sql, self._people.used_by(sql)).fetchall()

    def touched_hours(self, connection: duckdb.DuckDBPyConnection, seen: int) -> list[int]:
        """Return the hours, counted since 1970, of the events that arrived after `seen`."""
        sql = f"""
            SELECT DISTINCT ts // {HOUR_MILLISECONDS} FROM events
            WHERE arrived > {seen:d} AND arrived <= $as_of AND app = $app AND name IN ({self._names()})
        """  # noqa: S608 # constants and integers
        return [hour for (hour,) in connection.execute(sql, self._people.used_by(sql)).fetchall()]

    def _events(self, first: int, end: int) -> str:
        """Return a query of the events that any measure needs, from `first` on and before `end`."""
        return f"""
            SELECT visitor, ts, name, value, source FROM events
            WHERE app = $app AND name IN ({self._names()}) AND arrived <= $as_of
              AND ts >= {first:d} AND ts < {end:d}
        """  # noqa: S608 # constants and integers

    def _names(self) -> str:
        names = {
            self._vocabulary.name(event)
            for each in self._measures
            for event in (each.y.event, *each.steps, *([each.x.event] if each.x else []))
        }
        return ", ".join(map(str, sorted(names)))


def of_sources(measure: Measure, vocabulary: Vocabulary) -> str:
    """Return the condition that only some sources count, or nothing."""
    if not measure.sources:
        return ""
    numbers = sorted({vocabulary.sources.get(source, _NOTHING) for source in measure.sources})
    return f" AND source IN ({', '.join(map(str, numbers))})"
