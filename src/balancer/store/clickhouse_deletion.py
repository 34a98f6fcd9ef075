"""Deleting rows on one ClickHouse server, and waiting for what it does in the background.

Used by `clickhouse_load` and `clickhouse_erase`.
"""

import time
from collections.abc import Callable

from balancer.errors import LedgerUnavailable
from balancer.store.clickhouse_server import Server
from balancer.store.clickhouse_text import quoted

# 60 s: deleting rewrites the parts that rows are in, a few hundred megabytes each where merges are large.
_DELETE_SECONDS = 60.0
_POLL_SECONDS = 0.05


def delete(server: Server, database: str, condition: str) -> None:
    """Delete rows of `events`, and wait until they are gone. Raises LedgerUnavailable; they may go all the same."""
    server.do(f"ALTER TABLE {database}.events DELETE WHERE {condition}")
    unfinished = (
        f"SELECT count() FROM system.mutations WHERE database = {quoted(database)} AND table = 'events' "  # noqa: S608
        "AND NOT is_done"
    )
    wait(lambda: server.ask(unfinished) == [[0]], _DELETE_SECONDS, f"{server.called} still deletes rows")


def wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return as soon as `condition` is true; raises LedgerUnavailable with `otherwise` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LedgerUnavailable(otherwise)
        time.sleep(_POLL_SECONDS)
