"""Sockets to listen on, and unix sockets in directories of any depth.

Invariants:
    * A port is ours from the moment that `listening` returns: a socket that is bound only can lose it to another that
      has SO_REUSEADDR, and finds out seconds later.
    * The path given to the kernel is short, however long the path of the socket is: HAProxy's sockets and the ledger's.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balancer.errors import AddressUnusable, PortTaken

# 107 bytes and a zero are what `sun_path` of sockaddr_un(7) holds.
_PATH_LIMIT_BYTES = 107


# What stands for all addresses of the machine.
EVERY_IPV4, EVERY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - a web site is for everyone


def listening(host: str, port: int, *, backlog: int, option: str) -> socket.socket:
    """Return a socket that listens on `host`, a name or an address, and `port`; 0 is one that is free.

    `option` is the flag that chooses another. With an address of IPv6 it serves IPv6 only.
    Raises PortTaken; AddressUnusable: not an address of this machine, not for this user, or no IPv6 here.
    """
    address = f"port {port}" if host in (EVERY_IPV4, EVERY_IPV6) else f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.socket(family)
    except OSError as reason:
        raise AddressUnusable(address, reason.strerror or str(reason), option) from reason
    try:
        if family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(backlog)
    except OSError as reason:
        opened.close()
        if reason.errno == errno.EADDRINUSE:
            raise PortTaken(address, option) from reason
        raise AddressUnusable(address, reason.strerror or str(reason), option) from reason
    return opened


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
