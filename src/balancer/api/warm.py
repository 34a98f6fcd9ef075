"""Warming up: what the first answer would wait for is done before, and what stays for good is set aside.

Invariants:
    * The first request is answered as fast as the next ones: the web framework has looked at every route.
    * What there is when the daemon is ready is never searched for cyclic garbage again.

With a thousand apps that search goes over half a million objects, which takes 150 ms of CPU and, on a busy machine,
up to 0.8 s, in which nobody is answered; and it begins whenever a page happens to be made. What is set aside is freed
all the same when nothing refers to it any more; only a ring of such objects would stay. Used by `daemon`.
"""

import atexit
import gc

from fastapi import FastAPI

# No route has it.
_NOWHERE = "/-"


def warm_up(app: FastAPI) -> None:
    """Make the application ready to answer at once; when all else of the daemon is there."""
    scope = {"type": "http", "method": "GET", "path": _NOWHERE, "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(scope)
    gc.collect()
    gc.freeze()
    # What extensions have made they want to see freed at the end; else DuckDB's complains.
    atexit.register(gc.unfreeze)
