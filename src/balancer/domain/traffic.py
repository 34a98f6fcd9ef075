"""Traffic: which instances have requests, or may get one that no switch could turn away.

Instances are named as in the proxy (`r12-i40`). The proxy tells; `plan` decides by it what may be stopped.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What goes on at instances."""

    busy: frozenset[str] = frozenset()
    """Those with something in flight: requests, downloads, uploads, event streams, websockets."""
    reachable: frozenset[str] = frozenset()
    """Those that a connection which is idle now, but older than the proxy's configuration, may bring a request."""
