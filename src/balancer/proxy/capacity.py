"""How many connections HAProxy is given: as many as the limit of file descriptors carries, beside its checks.

Used by `wiring`.
"""

import contextlib
import resource

from balancer import logs
from balancer.errors import HostUnfit

log = logs.named("daemon")
# 20,000: with two sockets a connection and some for checks, what 50,000 file descriptors carry.
_CONNECTIONS_LIMIT = 20_000
# A quarter, 8,000 at most: HAProxy keeps one for the check of each server, and does not start where they do not fit.
_CHECKS_SHARE, _CHECKS_LIMIT, _OWN_DESCRIPTORS = 4, 8_000, 400
# 256: two for each of 100 connections, and what HAProxy needs itself; from 1,000 connections on a site has enough.
_DESCRIPTORS_NEEDED, _FEW_CONNECTIONS = 256, 1000


def connections() -> int:
    """Raise our own limit of file descriptors as far as we may, and return how many connections it carries.

    Raises HostUnfit where that is next to none.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 0:  # no limit
        return _CONNECTIONS_LIMIT
    if hard < _DESCRIPTORS_NEEDED:
        raise HostUnfit(
            f"{hard} file descriptors are too few: {_DESCRIPTORS_NEEDED} are needed for 100 connections, 50,000 are "
            "right for a site; raise the limit (`ulimit -Hn 65536`, or LimitNOFILE= of systemd)"
        )
    kept = max(_OWN_DESCRIPTORS, min(hard // _CHECKS_SHARE, _CHECKS_LIMIT))
    carried = max(100, min(_CONNECTIONS_LIMIT, (hard - kept) // 2))
    if carried < _FEW_CONNECTIONS:
        log.warning("daemon.descriptors.few", limit=hard, connections=carried)
    return carried
