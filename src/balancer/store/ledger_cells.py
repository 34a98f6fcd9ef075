"""The report's question, as DuckDB answers it: the cells of a split.

Invariants:
    * An event counts by its visitor and its time, whatever split or variant its row carries.
    * Each exposed visitor gives one number for each measure, 0 where there is none.
    * Moments are means and M2, never sums of squares.

Events are filtered by name before they are joined, and joined once for all measures; a visitor without any is added
as a zero. Used by the embedded engine.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import duckdb

from balancer.stats.cells import (
    MeasureCells,
    QuantileCell,
    SplitCells,
    SplitQuestion,
)
from balancer.store.cell_sums import CellSums, Figures, exposed_cells
from balancer.store.ledger_kept import Found, Kept, Look
from balancer.store.ledger_measures import Counted, Vocabulary
from balancer.store.ledger_people import People

# What has come since a look is at the end of the table, where it is soon found.
_SEEN = "SELECT coalesce(max(arrived), $1) FROM events WHERE arrived > $1 AND arrived <= $2"
_ROWS = "SELECT (SELECT count(*) FROM events) - (SELECT count(*) FROM events WHERE arrived > ?)"


def read_cells(connection: duckdb.DuckDBPyConnection, question: SplitQuestion, kept: Kept) -> SplitCells:
    """Return what is asked of a split, all as of one moment; what is `kept` of earlier looks is not counted again."""
    connection.begin()
    try:
        vocabulary = Vocabulary.of(connection, question.app)
        if vocabulary is None:
            return SplitCells(measures=tuple(MeasureCells(name=each.name, cells=()) for each in question.measures))
        untils = sorted({measure.until for measure in question.measures})
        people = People(connection, question, vocabulary.app, untils)
        counted = Counted(question.measures, vocabulary, people)
        sums = [
            CellSums(question, untils.index(measure.until), len(measure.steps), people.visitors)
            for measure in question.measures
        ]
        for cell, each in _figures(connection, question, people, counted, kept):
            place = people.place(cell)
            for found, figures in zip(sums, each, strict=True):
                found.add(place, figures)
        return SplitCells(
            exposed=exposed_cells(question, people.visitors),
            measures=tuple(
                MeasureCells(
                    name=measure.name,
                    cells=found.cells(),
                    quantiles=tuple(
                        QuantileCell(variant=question.variants[variant], events=events, value=value)
                        for variant, events, value in counted.quantiles(connection, measure)
                    ),
                )
                for measure, found in zip(question.measures, sums, strict=True)
            ),
            multiple=people.multiple(connection),
        )
    finally:
        connection.rollback()


def _figures(
    connection: duckdb.DuckDBPyConnection, question: SplitQuestion, people: People, counted: Counted, kept: Kept
) -> Iterator[tuple[int, Sequence[Figures]]]:
    """Give the figures of all cells: of finished days those that are kept, if they still hold."""
    if not question.measures:
        return
    if not people.is_now:
        yield from counted.figures(connection, people.spans())
        return
    look = kept.find(question)
    if look and _rows(connection, look.seen) != look.rows:
        look = None
    held: dict[int, Found] = {}
    if look:
        held = look.holds(question, people.days, counted.touched_hours(connection, look.seen))
    found: defaultdict[int, list[tuple[int, Sequence[Figures]]]] = defaultdict(list)
    for cell, each in counted.figures(connection, people.spans(but=held)):
        if (day := people.place(cell).day) not in held:
            found[day].append((cell, each))
    until = max(measure.until for measure in question.measures)
    finished = {
        number: (day, held.get(number, tuple(found[number])))
        for number, day in people.days.items()
        if day.last + until <= question.as_of
    }
    seen = connection.execute(_SEEN, [look.seen if look else 0, question.as_of]).fetchall()[0][0]
    kept.keep(question, Look(as_of=question.as_of, seen=seen, rows=_rows(connection, seen), days=finished))
    for cells in (*held.values(), *found.values()):
        yield from cells


def _rows(connection: duckdb.DuckDBPyConnection, seen: int) -> int:
    """Return how many rows had arrived at `seen`, of all apps."""
    return int(connection.execute(_ROWS, [seen]).fetchall()[0][0])
