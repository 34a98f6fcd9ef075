"""Waiting for something to become true, with a deadline: what tests do instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.02


def until(condition: Callable[[], object], seconds: float) -> None:
    """Return as soon as `condition` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)


async def eventually(condition: Callable[[], object], seconds: float) -> None:
    """Do as `until` does, and let the event loop go on meanwhile; the condition may be a coroutine."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(_PAUSE_SECONDS)
