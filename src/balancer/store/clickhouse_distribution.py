"""How a number of the visitors is distributed, as ClickHouse counts it: bins travel, and are added here.

Used by the ClickHouse engine.
"""

from balancer.stats.cells import SplitQuestion, What
from balancer.stats.distribution import ROUNDED, Distribution, Leading, distribution
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_measures import Counted
from balancer.store.clickhouse_people import People
from balancer.store.clickhouse_progress import last_batch

_NUMBER = {
    What.HAPPENED: "toFloat64(1)",
    What.EVENTS: "toFloat64(count())",
    What.VALUES: "sum(ifNull(value, 0))",
    What.VALUED: "toFloat64(countIf(isNotNull(value)))",
}


def read_distribution(cluster: Cluster, database: str, question: SplitQuestion) -> Distribution:
    """Return how y of the one measure asked for is distributed, as of one batch. Raises LedgerUnavailable."""
    (measure,) = question.measures
    people = People(cluster, database, question, last_batch(cluster.first, database), ())
    visitors: dict[str, int] = {}
    for rows in cluster.ask(f"SELECT arm, count() FROM ({people.sql()}) GROUP BY arm"):  # noqa: S608
        for arm, count in rows:
            variant = question.variants[int(str(arm))]
            visitors[variant] = visitors.get(variant, 0) + int(str(count))
    number, cap = _NUMBER[measure.y.what], measure.cap
    if cap is not None:
        number = f"least(greatest({number}, toFloat64({-cap!r})), toFloat64({cap!r}))"
    did = Counted(question, database, people).did_of(measure)
    sql = f"""
        SELECT arm, y < 0 AS negative, toInt64(floor(log10(abs(y)))) AS exponent,
               toInt64(floor(round(abs(y) / pow(10, exponent), {ROUNDED}))) AS digit, count()
        FROM (SELECT any(arm) AS arm, {number} AS y FROM ({did}) GROUP BY visitor)
        WHERE y != 0 GROUP BY arm, negative, exponent, digit
    """  # noqa: S608 # constants and integers
    found = []
    for rows in cluster.ask(sql):
        for arm, negative, exponent, digit, count in rows:
            place = Leading(
                variant=question.variants[int(str(arm))],
                negative=str(negative) in ("1", "True"),
                exponent=int(str(exponent)),
                digit=int(str(digit)),
            )
            found.append((place, int(str(count))))
    return distribution(question.variants, visitors, found)
