"""What a proxy adds to the time of a request while it is half busy."""

from dataclasses import dataclass
from pathlib import Path

from peers.cookies import cookie
from peers.load import load, request

_REQUESTS = [request(cookie(number, "1")) for number in range(64)]
# 64 connections that pause as long as it takes to send half of what the proxy could answer.
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """The time of requests at half load, in ms."""

    per_second: float
    p50_ms: float
    p99_ms: float


def half_load(port: int, capacity: float, *, core: int, directory: Path, seconds: int) -> Delay:
    """Send half of `capacity` requests a second, in irregular order."""
    pause = max(1, round(2000 * _CONNECTIONS / capacity))
    seen = load(
        port,
        _REQUESTS,
        core=core,
        directory=directory,
        seconds=seconds,
        connections=_CONNECTIONS,
        pause_ms=pause,
    )
    assert not seen.errors, seen
    return Delay(per_second=seen.per_second, p50_ms=seen.p50_ms, p99_ms=seen.p99_ms)
