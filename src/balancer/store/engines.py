"""Which engine keeps the ledger: the embedded one, or ClickHouse by its URL.

Used by `ledgerd`, which opens it.
"""

from pathlib import Path

from balancer.domain.ledger_url import LedgerUrl
from balancer.store.clickhouse_ledger import ClickHouseLedger, LeftAt
from balancer.store.ledger import DuckLedger

Engine = DuckLedger | ClickHouseLedger


def open_engine(data_dir: Path, url: str) -> Engine:
    """Open what `url` names, the file in the data directory where it is empty. Raises InvalidName."""
    file = data_dir / "ledger.duckdb"
    if not url:
        return DuckLedger(file)
    return ClickHouseLedger(LedgerUrl.parse(url), left=_left(file) if file.exists() else None)


def _left(file: Path) -> dict[str, LeftAt]:
    """Return how far the embedded engine was: what it has must not come into the other one as well."""
    embedded = DuckLedger(file)
    try:
        expected = embedded.expected()
        return {name: (offset, expected.get(name, {})) for name, offset in embedded.offsets().items()}
    finally:
        embedded.close()
