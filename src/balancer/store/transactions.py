"""Transactions of the registry's database.

Invariants:
    * One thread runs them all, in the order of the calls: there is one writer, and nothing waits for a lock.
    * What a transaction tells of is kept by the same transaction, or not at all.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from balancer.domain.notice import Notice
from balancer.errors import DiskFull, Unavailable
from balancer.store import notices

P = ParamSpec("P")
T = TypeVar("T")


class Transactions:
    """Work on a database, from asyncio."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self.on_told: Callable[[Notice, int], None] = _nobody
        """Called on the thread for each notice that was kept, with how many older ones had to give way."""
        self._told: list[tuple[Notice, int]] = []
        """What the transaction that runs has kept; of the thread alone."""

    async def close(self) -> None:
        """Finish what was asked for, and close the database."""
        await asyncio.to_thread(self._close)

    async def _transact(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a transaction on the thread; begun, it ends, even if the caller is cancelled."""

        def transaction() -> T:
            self._told.clear()
            try:
                with self._engine.begin() as connection:
                    done = work(connection, *args, **kwargs)
            except OperationalError as reason:
                if "is full" in str(reason.orig):
                    raise DiskFull from reason
                raise Unavailable(
                    f"the registry does not answer ({reason.orig}); "
                    "see that its disk is there and has room, then try again"
                ) from reason
            for notice, dropped in self._told:
                self.on_told(notice, dropped)
            return done

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def _tell(self, connection: Connection, *told: Notice) -> None:
        """Keep notices for the targets that want them, as a part of what is done."""
        for notice in told:
            self._told.append((notice, notices.post(connection, notice, self._clock())))

    def _close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()


def _nobody(_notice: Notice, _dropped: int) -> None:
    """Tell nobody."""
