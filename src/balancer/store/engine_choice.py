"""Which engine keeps the ledger, as it is told to the ledger process, and shown.

It loads no engine: the daemon has none in it.
"""

from balancer.domain.ledger_url import LedgerUrl

URL_VARIABLE = "BALANCER_LEDGER_URL"
"""By which the daemon tells the ledger process: a command line, with its password, everyone may read."""
_EMBEDDED = "embedded"


def shown(url: str) -> str:
    """Return what to call it, without its password. Raises InvalidName."""
    return str(LedgerUrl.parse(url)) if url else _EMBEDDED
