"""The report's question, as ClickHouse answers it: the cells of a split.

Invariants:
    * An event counts by its visitor and its time, whatever split or variant its row carries.
    * Each exposed visitor gives one number for each measure, 0 where there is none.
    * Visitors are reckoned on their shard; moments travel, and are added here.

Used by the ClickHouse engine.
"""

from balancer.stats.cells import MeasureCells, SplitCells, SplitQuestion
from balancer.store.cell_sums import CellSums, Place, exposed_cells
from balancer.store.clickhouse_cluster import Cluster
from balancer.store.clickhouse_measures import Counted
from balancer.store.clickhouse_people import People
from balancer.store.clickhouse_progress import last_batch


def read_cells(cluster: Cluster, database: str, question: SplitQuestion) -> SplitCells:
    """Return what is asked of a split, all as of one batch. Raises LedgerUnavailable."""
    untils = sorted({measure.until for measure in question.measures})
    people = People(cluster, database, question, last_batch(cluster.first, database), untils)
    counted = Counted(question, database, people)
    visitors: dict[Place, int] = {}
    for rows in cluster.ask(f"SELECT cell, count() FROM ({people.sql()}) GROUP BY cell"):  # noqa: S608
        for cell, count in rows:
            place = people.place(int(str(cell)))
            visitors[place] = visitors.get(place, 0) + int(str(count))
    sums = [
        CellSums(question, untils.index(measure.until), len(measure.steps), visitors) for measure in question.measures
    ]
    for cell, figures in counted.figures(cluster):
        place = people.place(cell)
        for of_measure, each in zip(sums, figures, strict=True):
            of_measure.add(place, each)
    return SplitCells(
        exposed=exposed_cells(question, visitors),
        measures=tuple(
            MeasureCells(name=measure.name, cells=found.cells(), quantiles=counted.quantiles(cluster, measure))
            for measure, found in zip(question.measures, sums, strict=True)
        ),
        multiple=people.multiple(cluster),
    )
