"""The audit log."""

from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.audit import AuditEntry
from balancer.domain.audit_words import Told
from balancer.wire.body import Body


class AuditBody(Body):
    """One change that somebody asked for."""

    at: datetime = Field(description="When it ended.")
    who: str = Field(examples=["token operator", "key ada@laptop", "webhook"])
    what: str = Field(examples=["POST /api/apps/{app}/split", "git push"])
    app: str | None = Field(description="null where it concerns the platform.")
    summary: str = Field(description="What was asked for, as far as it is not secret.")
    outcome: str = Field(description="`done`, `begun`, the code of an error, `broken off` or `failed`.")
    words: str = Field(description="The same for people.", examples=["Set the weights of shop to master=90 test=10"])
    rest: str = Field(description="What of the summary the words do not say.")

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Return the body of an entry."""
        told = Told.of(entry)
        return cls(
            at=entry.at,
            who=entry.who,
            what=entry.what,
            app=entry.app,
            summary=entry.summary,
            outcome=entry.outcome,
            words=told.words,
            rest=told.rest,
        )
