"""The audit log, shown."""

from typing import Annotated

from fastapi import APIRouter, Query

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.wire.audit import AuditBody

router = APIRouter()
# 10,000: a year of a busy team, in 2 MB.
_LIMIT = 10_000


@router.get("/audit")
async def audit(
    on: On,
    app: str | None = None,
    since: Annotated[str | None, Query(description="A date, or how long ago at most, such as 7d.")] = None,
    limit: Annotated[int, Query(ge=1, le=_LIMIT)] = 100,
) -> list[AuditBody]:
    """List who changed what, the newest first; of one app, where it is named, also one that is gone."""
    name = None if app is None else AppName(app)
    return [AuditBody.of(entry) for entry in await on.audit.newest(name, since, limit)]
