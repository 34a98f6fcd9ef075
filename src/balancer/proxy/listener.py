"""The listening sockets of the site, and the file of the edge log: what HAProxy is handed.

Invariants:
    * The daemon holds the sockets, so while HAProxy is dead connections wait in the kernel and are not refused.
    * SO_REUSEPORT is never used: half the connections would go to a socket that nobody reads.
    * The edge log is opened for appending only; a new file begins when HAProxy starts.
"""

import ctypes
import os
import socket
from pathlib import Path

from balancer.errors import AddressUnusable, PortTaken
from balancer.sockets import EVERY_IPV4, EVERY_IPV6, listening

# The number of the system call pidfd_getfd, the same on every architecture; Linux 5.6 and newer.
_PIDFD_GETFD = 438
# 4,096: what waits while HAProxy is started again, at a few thousand connections a second.
_BACKLOG = 4096
_EDGE_FILE_DIGITS = 6


def listen(host: str, port: int) -> list[socket.socket]:
    """Return the listening sockets: of `host`, or with an empty host one of IPv4 and, where there is IPv6, one.

    Two and not one for both, so that no app sees a client as `::ffff:192.0.2.1`. Raises PortTaken, AddressUnusable.
    """
    if host:
        return [_listen(host, port)]
    site = [_listen(EVERY_IPV4, port)]
    if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
        try:
            site.append(_listen(EVERY_IPV6, site[0].getsockname()[1]))
        except PortTaken:
            site[0].close()
            raise
        except AddressUnusable:  # IPv6 is switched off
            pass
    return site


def _listen(host: str, port: int) -> socket.socket:
    return listening(
        host, port, backlog=_BACKLOG, option="--port" if host in (EVERY_IPV4, EVERY_IPV6) else "--host or --port"
    )


def take(pid: int, number: int) -> socket.socket:
    """Return a copy of the socket that process `pid` has as file descriptor `number`.

    Raises OSError: EPERM where this user may not trace that process.
    """
    pidfd = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        copy = libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(pidfd)
    return socket.socket(fileno=copy)


def open_edge_log(directory: Path) -> int:
    """Create the next file of the edge log and return its descriptor."""
    directory.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.stem) for path in directory.glob("*.log") if path.stem.isdigit()]
    name = f"{max(numbers, default=0) + 1:0{_EDGE_FILE_DIGITS}d}.log"
    return os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600)
