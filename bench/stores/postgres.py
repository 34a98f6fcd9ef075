"""PostgreSQL: a cluster of its own in a temporary directory, asked over a socket.

Set up as for reports on a machine of two cores: 1 GB of shared buffers, 256 MB to sort and hash in, two parallel
workers, no durability while it is filled, an index that alone answers for the events of a name, statistics and a
visibility map that are fresh.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from stores.rows import WITHIN, Answer, Rows, added, day

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "work_mem": "256MB",
    "hash_mem_multiplier": "2",
    "maintenance_work_mem": "512MB",
    "max_parallel_workers_per_gather": "2",
    "max_parallel_workers": "2",
    "max_worker_processes": "4",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}
_TABLES = """
CREATE UNLOGGED TABLE events (
    app integer, split integer, phase integer, variant text, release bigint, visitor uuid, assigned_at bigint,
    name integer, value double precision, ts bigint, arrived bigint, source integer);
CREATE UNLOGGED TABLE exposures (
    app integer, split integer, visitor uuid, assigned_at bigint, phase integer, variant text);
"""
_AFTERWARDS = """
CREATE INDEX ON events (app, name, visitor) INCLUDE (ts, value, arrived);
CREATE UNIQUE INDEX ON exposures (app, split, visitor) INCLUDE (assigned_at, phase, variant);
VACUUM ANALYZE events;
VACUUM ANALYZE exposures;
"""
_QUESTION = f"""
WITH people AS MATERIALIZED (
    SELECT visitor, assigned_at, phase, variant FROM exposures WHERE app = 1 AND split = 1
), did AS (
    SELECT visitor, min(assigned_at) AS assigned_at, min(phase) AS phase, min(variant) AS variant,
           count(*) FILTER (WHERE name = %(signup)d) AS signups, count(*) FILTER (WHERE name = %(purchase)d) AS bought,
           coalesce(sum(value) FILTER (WHERE name = %(purchase)d), 0) AS spent
    FROM (SELECT visitor, name, ts, value FROM events WHERE app = 1 AND name IN (%(signup)d, %(purchase)d)) AS e
    JOIN people USING (visitor) WHERE {WITHIN} GROUP BY visitor
), figures AS (
    SELECT phase, variant, {day("assigned_at")} AS day, count(*) FILTER (WHERE signups > 0) AS signed_up,
           sum(bought) AS bought, sum(spent) AS spent, avg(spent) AS mean, var_pop(spent) AS variance
    FROM did GROUP BY 1, 2, 3
), exposed AS (
    SELECT phase, variant, {day("assigned_at")} AS day, count(*) AS visitors FROM people GROUP BY 1, 2, 3
)
SELECT phase, variant, visitors, signed_up, bought, spent, mean, variance
FROM exposed LEFT JOIN figures USING (phase, variant, day)
"""


class Postgres:
    """A running cluster with the rows in it."""

    name = "PostgreSQL"

    def __init__(self, directory: Path, rows: Rows, prefix: Sequence[str], binaries: Path) -> None:
        self._command = [*prefix, str(binaries / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"]
        self._command += ["-h", str(directory), "-U", "postgres", "postgres"]
        self._rows = rows
        self.pid = None
        """Each question has processes of its own, which are gone when it is answered."""
        self._run(_TABLES)
        for table, path in (("events", rows.events), ("exposures", rows.exposures)):
            self._copy(table, path)
        self._run(_AFTERWARDS)

    def ask(self) -> Answer:
        """Return the answer to the report's question."""
        told = self._run(_QUESTION % {"signup": self._rows.signup, "purchase": self._rows.purchase})
        return added([line.split("|") for line in told.splitlines()])

    def _run(self, sql: str) -> str:
        return subprocess.run(self._command, input=sql, check=True, capture_output=True, text=True).stdout

    def _copy(self, table: str, path: Path) -> None:
        """Stream the rows in as text; neither side ever has them all."""
        with subprocess.Popen([*self._command, "-c", f"COPY {table} FROM STDIN (FORMAT csv)"],
                              stdin=subprocess.PIPE) as loading:  # fmt: skip
            assert loading.stdin
            os.set_inheritable(loading.stdin.fileno(), False)
            with duckdb.connect(config={"memory_limit": "600MB", "threads": 1}) as connection:
                connection.execute(
                    f"COPY (FROM '{path}') TO '/proc/self/fd/{loading.stdin.fileno()}' (FORMAT csv, HEADER false)"
                )
            loading.stdin.close()
        if loading.returncode:
            raise RuntimeError(f"COPY {table} ended with {loading.returncode}")


@contextlib.contextmanager
def postgres(directory: Path, rows: Rows) -> Iterator[Postgres]:
    """Give a cluster under `directory` with the rows loaded, and end it."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None) or Path(shutil.which("psql") or "").parent
    home = directory / "postgres"
    home.mkdir()
    prefix: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses
        shutil.chown(home, "postgres", pwd.getpwnam("postgres").pw_gid)
        for above in [directory, *directory.parents][:1]:
            above.chmod(0o755)
        prefix = ["runuser", "-u", "postgres", "--"]
    data = home / "data"
    subprocess.run(
        [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--no-sync"],
        check=True, capture_output=True, cwd=home,
    )  # fmt: skip
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [*prefix, str(binaries / "postgres"), "-D", str(data), "-k", str(home), *settings],
        cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        ready = [*prefix, str(binaries / "pg_isready"), "-q", "-h", str(home)]
        while subprocess.run(ready, check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not start")
            time.sleep(0.1)
        yield Postgres(home, rows, prefix, binaries)
    finally:
        stop = [*prefix, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True)
        server.wait(30)
