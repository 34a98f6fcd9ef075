"""Transactions of the registry's database.

Invariant: one thread runs them all, in the order of the calls: there is one writer, and nothing waits for a lock.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from balancer.errors import DiskFull, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Transactions:
    """Work on a database, from asyncio."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")

    async def close(self) -> None:
        """Finish what was asked for, and close the database."""
        await asyncio.to_thread(self._close)

    async def _transact(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a transaction on the thread; begun, it ends, even if the caller is cancelled."""

        def transaction() -> T:
            try:
                with self._engine.begin() as connection:
                    return work(connection, *args, **kwargs)
            except OperationalError as reason:
                if "is full" in str(reason.orig):
                    raise DiskFull from reason
                raise Unavailable(
                    f"the registry does not answer ({reason.orig}); "
                    "see that its disk is there and has room, then try again"
                ) from reason

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def _close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()
