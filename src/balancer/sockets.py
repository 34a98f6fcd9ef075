"""Unix sockets in directories of any depth.

Invariant: the path given to the kernel is short, however long the path of the socket is.

Used for HAProxy's sockets and the ledger's.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# 107 bytes and a zero are what `sun_path` of sockaddr_un(7) holds.
_PATH_LIMIT_BYTES = 107


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a path that leads to `path` and fits a socket address, for as long as the block lasts.

    Raises:
        OSError: the directory of `path` is not there.
    """
    if len(os.fsencode(path)) <= _PATH_LIMIT_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
