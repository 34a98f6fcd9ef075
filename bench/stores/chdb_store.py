"""chDB, ClickHouse in a process of its own: `python -m stores.chdb_store DIRECTORY EVENTS EXPOSURES SIGNUP PURCHASE`.

Set up as for this question: the events of a name stand together, in the order of their visitors; two threads, as the
ledger has, and of two joins the quicker one. It is asked by a line, and answers with one.
"""

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stores.rows import WITHIN, Answer, Rows, added, day

_TABLES = (
    """CREATE TABLE events (app Int32, split Int32, phase Int32, variant LowCardinality(String),
       release Nullable(Int64), visitor UUID, assigned_at Int64, name Int32, value Nullable(Float64), ts Int64,
       arrived Int64, source Int32)
       ENGINE = MergeTree ORDER BY (app, name, visitor, ts)""",
    """CREATE TABLE exposures (app Int32, split Int32, visitor UUID, assigned_at Int64, phase Int32,
       variant LowCardinality(String)) ENGINE = MergeTree ORDER BY (app, split, visitor)""",
)
_QUESTION = f"""
WITH people AS (
    SELECT visitor, assigned_at, phase, variant FROM exposures WHERE app = 1 AND split = 1
), did AS (
    SELECT visitor, any(p.assigned_at) AS born, any(p.phase) AS of_phase, any(p.variant) AS of_variant,
           countIf(name = %(signup)d) AS signups, countIf(name = %(purchase)d) AS bought,
           sumIf(value, name = %(purchase)d) AS spent
    FROM (SELECT visitor, name, ts, value FROM events WHERE app = 1 AND name IN (%(signup)d, %(purchase)d)) AS e
    INNER JOIN people AS p USING (visitor) WHERE {WITHIN} GROUP BY visitor
), figures AS (
    SELECT of_phase AS phase, of_variant AS variant, {day("born")} AS day, countIf(signups > 0) AS signed_up,
           sum(bought) AS purchases, sum(spent) AS earned, avg(spent) AS mean, varPop(spent) AS variance
    FROM did GROUP BY phase, variant, day
), exposed AS (
    SELECT phase, variant, {day("assigned_at")} AS day, count() AS visitors FROM people GROUP BY phase, variant, day
)
SELECT phase, variant, e.visitors, f.signed_up, f.purchases, f.earned, f.mean, f.variance
FROM exposed AS e LEFT JOIN figures AS f USING (phase, variant, day)
SETTINGS max_threads = 2, join_algorithm = '%(algorithm)s'
"""
# The two that suit: by hash, and by merging what stands in the order of its visitors.
_ALGORITHMS = ("parallel_hash", "full_sorting_merge")


class Chdb:
    """The other process, with the rows in it."""

    name = "chDB"

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid
        self._algorithm = min(_ALGORITHMS, key=self._seconds)

    def _seconds(self, algorithm: str) -> float:
        """Return what a join takes, of two times."""
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            self._ask(algorithm)
            seconds.append(time.monotonic() - began)
        return min(seconds)

    def ask(self) -> Answer:
        """Return the answer, by the join that is the quicker one here."""
        return self._ask(self._algorithm)

    def _ask(self, algorithm: str) -> Answer:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{algorithm}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("chDB ended")
        return added(json.loads(line))


@contextlib.contextmanager
def chdb(directory: Path, rows: Rows) -> Iterator[Chdb]:
    """Give a chDB with the rows in it, and end it."""
    home = directory / "chdb"
    words = [str(home), str(rows.events), str(rows.exposures), str(rows.signup), str(rows.purchase)]
    process = subprocess.Popen(
        [sys.executable, "-m", "stores.chdb_store", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    try:
        yield Chdb(process)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def main(home: str, events: str, exposures: str, signup: int, purchase: int) -> None:
    """Load, then answer each line, the join to use."""
    session: Any = importlib.import_module("chdb.session")  # installed for this measurement only
    with contextlib.redirect_stdout(sys.stderr):
        database = session.Session(home)
        for sql in _TABLES:
            database.query(sql)
        database.query(f"INSERT INTO events SELECT * FROM file('{events}', Parquet)")
        database.query(f"INSERT INTO exposures SELECT * FROM file('{exposures}', Parquet)")
        for table in ("events", "exposures"):
            database.query(f"OPTIMIZE TABLE {table} FINAL")
    for algorithm in sys.stdin:
        sql = _QUESTION % {"signup": signup, "purchase": purchase, "algorithm": algorithm.strip()}
        rows = str(database.query(sql, "JSONCompactEachRow")).splitlines()
        print(json.dumps([json.loads(row) for row in rows]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]))  # type: ignore[arg-type]
