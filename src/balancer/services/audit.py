"""The audit log: entries are kept, and asked for.

Invariants:
    * Nothing that was done is undone, or refused, because it could not be noted; the platform's log has it then.
    * What is noted outlives its app.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.audit import AuditEntry
from balancer.domain.calendar import TimeZone, moment
from balancer.domain.metric import parse_duration
from balancer.errors import InvalidInput, InvalidMetric

log = logs.named("audit")


class AuditLog(Protocol):
    """What keeps the entries."""

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Add an entry; those of more than a year ago go."""

    async def audit(self, app: AppName | None, since: datetime | None, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries, those of one app where it is named, the newest first."""


class Audit:
    """Notes who changed what."""

    def __init__(self, kept: AuditLog, clock: Callable[[], datetime], timezone: TimeZone) -> None:
        """Dates that are asked for begin in `timezone`."""
        self._kept = kept
        self._clock = clock
        self._timezone = timezone

    async def note(self, who: str, what: str, *, app: AppName | None, summary: str, outcome: str) -> None:
        """Note a change that has just ended, somehow."""
        entry = AuditEntry(at=self._clock(), who=who, what=what, app=app, summary=summary, outcome=outcome)
        try:
            await self._kept.add_audit_entry(entry)
        except Exception as reason:  # noqa: BLE001 - whatever fails here, what was asked is done
            log.error(
                "audit.not.written",
                who=who,
                what=what,
                app=app,
                summary=summary,
                outcome=outcome,
                reason=str(reason),
            )

    async def newest(self, app: AppName | None, since: str | None, limit: int) -> tuple[AuditEntry, ...]:
        """Return the newest entries since a date, or for a duration until now. Raises InvalidInput."""
        return await self._kept.audit(app, self._since(since) if since else None, limit)

    def _since(self, text: str) -> datetime:
        if text[-1:].isalpha():
            try:
                return self._clock() - timedelta(seconds=parse_duration(text))
            except (InvalidMetric, OverflowError):
                raise InvalidInput(f"{text[:60]!r} is no duration: write 90s, 30m, 72h or 7d, or a date") from None
        return datetime.fromtimestamp(moment(self._timezone, text) / 1000, self._clock().tzinfo)
