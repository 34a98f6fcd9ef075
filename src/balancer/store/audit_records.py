"""The audit log in the registry, as its callers see it.

Invariant: a method is one transaction.
"""

from datetime import datetime

from balancer.domain.app import AppName
from balancer.domain.audit import AuditEntry
from balancer.store import audit
from balancer.store.transactions import Transactions


class AuditRecords(Transactions):
    """What the registry knows of who changed what."""

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Add an entry; those of more than a year ago go."""
        await self._transact(audit.add, entry)

    async def audit(self, app: AppName | None, since: datetime | None, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, those of one app where it is named, the newest first."""
        return await self._transact(audit.newest, app, since, limit)
