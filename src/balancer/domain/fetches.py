"""Fetches from what an app follows: what is told and noted when they begin to fail, and when they work again.

Invariant: a streak of failures is told of once, and so is its end.
"""

from dataclasses import dataclass
from datetime import datetime

from balancer.domain.app import AppName, BranchName
from balancer.domain.audit import DONE, PLATFORM, AuditEntry, line
from balancer.domain.notice import Notice, NoticeKind

FAILED, WORKED = "source failed", "source works again"
"""What the audit log calls the two; its newest entry of them says whether a streak goes on."""
# 4,000 characters: what git says is a few lines.
_REASON_LIMIT = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """How fetching a branch of what an app follows has ended."""

    app: AppName
    branch: BranchName
    url: str
    """Without what may be secret."""
    failure: str | None
    """None: it has worked."""

    @property
    def what(self) -> str:
        """What the audit log calls it."""
        return WORKED if self.failure is None else FAILED


def changes(fetch: Fetch, before: str | None) -> bool:
    """Tell whether a fetch begins or ends a streak of failures; `before` is what the audit log said last."""
    return fetch.what != (before or WORKED)


def entry_of(fetch: Fetch, at: datetime) -> AuditEntry:
    """Return what the audit log is to say."""
    summary = fetch.failure or f"{fetch.branch} was fetched from {fetch.url}"
    return AuditEntry(at=at, who=PLATFORM, what=fetch.what, app=fetch.app, summary=line(summary), outcome=DONE)


def notice_of(fetch: Fetch) -> Notice:
    """Return what people are told."""
    facts: dict[str, object] = {"branch": str(fetch.branch), "url": fetch.url}
    if fetch.failure is None:
        text = f"{fetch.app}: {fetch.url} can be fetched again"
        return Notice(kind=NoticeKind.SOURCE_WORKS, app=fetch.app, text=text, facts=facts)
    return Notice(
        kind=NoticeKind.SOURCE_FAILED,
        app=fetch.app,
        text=f"{fetch.app}: what is pushed there is not deployed: {fetch.failure}",
        facts={**facts, "reason": fetch.failure[:_REASON_LIMIT]},
    )
