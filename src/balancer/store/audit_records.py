"""The audit log in the registry, as its callers see it.

Invariant: a method is one transaction.
"""

from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppName
from balancer.domain.audit import AuditEntry
from balancer.domain.fetches import FAILED, WORKED, Fetch, changes, entry_of, notice_of
from balancer.store import apps, audit
from balancer.store.transactions import Transactions


class AuditRecords(Transactions):
    """What the registry knows of who changed what."""

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Add an entry; those of more than a year ago go."""
        await self._transact(audit.add, entry)

    async def audit(self, app: AppName | None, since: datetime | None, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, those of one app where it is named, the newest first."""
        return await self._transact(audit.newest, app, since, limit)

    async def note_fetch(self, fetch: Fetch) -> None:
        """Note, and tell, that fetching what an app follows begins to fail, or works again. Raises AppNotFound."""
        now = self._clock()

        def noting(connection: Connection) -> None:
            since = apps.get(connection, fetch.app).created_at  # what is older is of another app of that name
            if changes(fetch, audit.last_of(connection, fetch.app, (FAILED, WORKED), since)):
                audit.add(connection, entry_of(fetch, now))
                self._tell(connection, notice_of(fetch))

        await self._transact(noting)
