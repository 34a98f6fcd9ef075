"""Literals: a value as files write it (`true`, `"two"`, `[1, 2]`), for messages to whoever wrote the file.

Invariant: what TOML and JSON both have is shown as both write it; Python's `True` and `None` never are.
"""

import json
import math

# 80 characters: enough to find the place in the file; a whole table pasted into a message hides what it says.
_LIMIT = 80


def literal(value: object) -> str:
    """Return a value that was read from TOML or JSON as these write it, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan, as TOML writes them
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…"
