"""Lines of the edge log, as HAProxy writes them."""

import json
import uuid

ASSIGNED_AT = 1_700_000_000_000


def visitor(number: int) -> str:
    """Return the id of one visitor of many."""
    return str(uuid.UUID(int=number, version=4))


def cookie(number: int, *, variant: str = "test", phase: int = 1, assigned_at: int = ASSIGNED_AT) -> str:
    """Return the cookie of a visitor in the split s1."""
    return f"{visitor(number)}.s1.{variant}.{phase}.1.{assigned_at}"


def line(**fields: object) -> bytes:
    """Return a line without its end, of a visitor's request that says nothing but what `fields` say."""
    ordinary = {
        "n": 0,
        "p": 0,
        "t": ASSIGNED_AT + 1000,
        "app": "shop",
        "backend": "test--shop",
        "cookie": cookie(1),
        "exposed": "-",
        "served": "test--shop/r3-i4",
        "status": 200,
        "ms": 3,
        "slow": "-",
        "event": "-",
        "body": "-",
        "about": "-",
    }
    return json.dumps(ordinary | fields).encode()
