"""Waiting for something to become true, with a deadline: what tests do instead of sleeping."""

import asyncio
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
    """Do as `until` does, and let the event loop go on meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(_PAUSE_SECONDS)
