"""How a number of the visitors is distributed, as DuckDB counts it. Used by the embedded engine."""

import duckdb

from balancer.stats.cells import Measure, SplitQuestion, What
from balancer.stats.distribution import ROUNDED, Distribution, Leading, distribution
from balancer.store.ledger_measures import Vocabulary, of_sources
from balancer.store.ledger_people import People

_NUMBER = {
    What.HAPPENED: "1.0",
    What.EVENTS: "count(*)::DOUBLE",
    What.VALUES: "coalesce(sum(value), 0)::DOUBLE",
    What.VALUED: "count(value)::DOUBLE",
}


def read_distribution(connection: duckdb.DuckDBPyConnection, question: SplitQuestion) -> Distribution:
    """Return how y of the one measure asked for is distributed, all as of one moment."""
    (measure,) = question.measures
    connection.begin()
    try:
        vocabulary = Vocabulary.of(connection, question.app)
        if vocabulary is None:
            return distribution(question.variants, {}, ())
        people = People(connection, question, vocabulary.app, ())
        visitors: dict[str, int] = {}
        for place, count in people.visitors.items():
            visitors[place.variant] = visitors.get(place.variant, 0) + count
        sql = _sql(measure, vocabulary, people)
        rows = connection.execute(sql, people.used_by(sql)).fetchall() if people.days else []
        return distribution(
            question.variants,
            visitors,
            (
                (Leading(variant=question.variants[place], negative=negative, exponent=exponent, digit=digit), count)
                for place, negative, exponent, digit, count in rows
            ),
        )
    finally:
        connection.rollback()


def _sql(measure: Measure, vocabulary: Vocabulary, people: People) -> str:
    first = min((day.first for day in people.days.values()), default=0) + measure.since
    last = max((day.last for day in people.days.values()), default=0) + measure.until
    number, cap = _NUMBER[measure.y.what], measure.cap
    if cap is not None:
        number = f"least(greatest({number}, {-cap!r}::DOUBLE), {cap!r}::DOUBLE)"
    return f"""
        WITH numbers AS (
            SELECT place, {number} AS y
            FROM (SELECT visitor, ts, value FROM events
                  WHERE app = $app AND name = {vocabulary.name(measure.y.event):d} AND arrived <= $as_of
                    AND ts >= {first:d} AND ts < {last:d}{of_sources(measure, vocabulary)})
            JOIN ({people.sql()}) USING (visitor)
            WHERE ts >= born + {measure.since:d} AND ts < born + {measure.until:d}
            GROUP BY visitor, place
        ),
        powers AS (SELECT place, y, floor(log10(abs(y)))::INTEGER AS exponent FROM numbers WHERE y <> 0)
        SELECT place, y < 0, exponent, floor(round(abs(y) / pow(10.0, exponent), {ROUNDED}))::INTEGER, count(*)
        FROM powers GROUP BY ALL
    """  # noqa: S608 # constants and integers
