"""The latency objective of an app: from when on an answer is slow.

Invariant: an objective is a whole number of milliseconds that an answer can exceed before the proxy gives it up.
"""

import re

from balancer.errors import InvalidManifest

# 60 s: then the proxy answers itself, with 504, which is an error.
SLOWEST_MILLISECONDS = 60_000
_DURATION = re.compile(r"([1-9][0-9]{0,5})(ms|s)")
_MILLISECONDS = {"ms": 1, "s": 1000}


def parse_slow_after(text: str) -> int:
    """Return the milliseconds of `800ms` or `2s`. Raises InvalidManifest."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise InvalidManifest(f"slow_after = {text[:60]!r} is no duration: write 800ms or 2s")
    return check_slow_after(int(found[1]) * _MILLISECONDS[found[2]])


def check_slow_after(milliseconds: int) -> int:
    """Return an objective as it is. Raises InvalidManifest."""
    if not 1 <= milliseconds < SLOWEST_MILLISECONDS:
        raise InvalidManifest(
            f"slow_after is {milliseconds} ms: it must be below {SLOWEST_MILLISECONDS // 1000} s, "
            "after which the proxy answers in the app's place"
        )
    return milliseconds
