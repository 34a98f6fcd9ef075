"""Work that tells of itself while it goes on, as a stream of lines in the answer.

Invariants:
    * The work is a task of its own: what it cleans up is cleaned up, whoever stops reading.
    * When the reader goes away the work is cancelled, and waited for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from starlette.responses import StreamingResponse

from balancer.errors import BalancerError, deliberate
from balancer.services.interfaces import Tell
from balancer.wire.body import ErrorBody
from balancer.wire.releases import Progress

NDJSON = "application/x-ndjson"

T = TypeVar("T")


def progress_of(work: Callable[[Tell], Awaitable[Progress]]) -> StreamingResponse:
    """Answer with Progress, a JSON object a line: each line that `work` tells, and last what it returns, or its error.

    An error that is not deliberate breaks the answer off.
    """

    async def progress() -> AsyncIterator[str]:
        async for item in lines_of(work):
            yield (Progress(line=item) if isinstance(item, str) else _end_of(item)).model_dump_json() + "\n"

    return StreamingResponse(progress(), media_type=NDJSON)


def _end_of(task: asyncio.Task[Progress]) -> Progress:
    error = task.exception()
    if isinstance(error, BalancerError):
        return Progress(error=ErrorBody.of(error))
    return task.result()


async def lines_of(work: Callable[[Tell], Awaitable[T]]) -> AsyncIterator[str | asyncio.Task[T]]:
    """Give each line that `work` tells, and last the finished task, to be asked for its result."""
    told: asyncio.Queue[str] = asyncio.Queue()
    # Unbounded: builds print at most what their log holds, and a slow reader must not slow a deploy down.
    task: asyncio.Task[T] = asyncio.ensure_future(_task(work, told.put_nowait))
    try:
        while not task.done() or not told.empty():
            line = asyncio.ensure_future(told.get())
            await asyncio.wait({task, line}, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                yield line.result()
            else:
                line.cancel()
        yield task
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.shield(task)


async def _task(work: Callable[[Tell], Awaitable[T]], tell: Tell) -> T:
    try:
        return await work(tell)
    except OSError as reason:
        raise deliberate(reason) from reason
