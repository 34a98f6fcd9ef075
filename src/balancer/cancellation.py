"""Cancellation: what has to be done to its end, however often whoever does it is cancelled.

Invariants:
    * The work is never cancelled with its caller, also not by a second cancellation while the first is dealt with.
    * The caller goes on when the work has ended, with what it returns or raises; a cancellation meanwhile is swallowed.

For what cleans up behind an exception, which is raised again after it: a handler that merely awaits is broken off by
the next cancellation, and the API's server gives one at every await. The work has its own deadlines.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, and return what it returns, when it has ended and not before. Raises what it raises."""
    doing = asyncio.ensure_future(work)
    while not doing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(doing)
    return doing.result()
