"""The cookie that every proxy of the comparison reads and sets: ours, so that all have the same bytes to look at."""

import uuid

from peers.peer import BRANCHES, SPLIT

UUID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ATTRIBUTES = "Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax"
AT = "1700000000000"


def cookie(number: int, flag: str, split: str = SPLIT) -> str:
    """Return the cookie of visitor `number`, in the first phase."""
    visitor = uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (2**128 - 1), version=4)
    return f"{visitor}.{split}.{BRANCHES[number % 2]}.1.{flag}.{AT}"
