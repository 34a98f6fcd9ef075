"""What can decide a split, offered where one is begun: metrics that are declared, and events that were seen.

Invariant: a page waits for none of it; what the ledger does not say in time is typed.
"""

import asyncio

from balancer.api.platform import Platform
from balancer.domain.app import AppName
from balancer.errors import BalancerError

# 1 s: the form is of use without.
_SECONDS = 1.0
# 100: what a browser shows of them in one list.
_LIMIT = 100


async def metric_names(on: Platform, app: AppName) -> tuple[str, ...]:
    """Return the names of what can decide, those declared first. Raises AppNotFound."""
    declared = [str(each.name) for each in await on.metrics.declared(app) if each.decides]
    try:
        async with asyncio.timeout(_SECONDS):
            seen = [each.event for each in (await on.ledger.names(str(app))).names]
    except (BalancerError, TimeoutError):
        seen = []
    return tuple(dict.fromkeys([*declared, *sorted(seen)]))[:_LIMIT]
