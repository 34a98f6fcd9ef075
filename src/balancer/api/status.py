"""How the platform is."""

import os
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter

from balancer import __version__
from balancer.api.platform import On, Platform
from balancer.domain.plan import CRASH_LOOP_ENDS
from balancer.domain.release import Instance, ReleaseState
from balancer.errors import ProxyFailed
from balancer.wire.status import ProxyBody, RenewalBody, StatusBody, UpgradeBody

router = APIRouter()
_STARTED_AT = datetime.now(UTC)


@router.get("/status")
async def status(on: On) -> StatusBody:
    """Tell how the platform is."""
    snapshot = await on.registry.snapshot()
    ledger = await on.ledger_state()
    return StatusBody(
        version=__version__,
        pid=os.getpid(),
        started_at=_STARTED_AT,
        site=f"http://{on.domain}{on.site}/",
        apps=len(snapshot.apps),
        instances=len(snapshot.instances),
        running=len(on.supervisor.running()),
        crashing=[
            f"{release.app} {release.branch} {instance.label}"
            for release in snapshot.releases
            if release.state is ReleaseState.LIVE
            for instance in snapshot.instances_of(release)
            if _is_crashing(on, instance)
        ],
        ledger=ledger.words,
        lost_lines=ledger.lost_lines,
        proxy=await _proxy(on),
        free_bytes=on.disk.free_bytes,
    )


async def _proxy(on: Platform) -> ProxyBody | None:
    try:
        worker = await on.proxy.worker()
    except ProxyFailed:  # how the platform is, is asked most when something does not answer
        return None
    return ProxyBody(
        version=worker.version,
        worker=worker.pid,
        loaded_at=datetime.now(UTC) - timedelta(seconds=worker.uptime_seconds),
        restarts=on.proxy.restarts,
    )


def _is_crashing(on: Platform, instance: Instance) -> bool:
    end = on.supervisor.exits.get(instance.id)
    return end is not None and end.ends >= CRASH_LOOP_ENDS and not on.supervisor.has_been_steady(instance.id)


@router.post("/upgrade", status_code=202)
async def upgrade(on: On) -> UpgradeBody:
    """Replace the daemon by the code that is installed now; the instances and the site do not notice."""
    return UpgradeBody(before=__version__, after=await on.upgrade())


@router.post("/upgrade/proxy")
async def renew_proxy(on: On) -> RenewalBody:
    """Let HAProxy execute itself again, as it is installed now; visitors do not notice."""
    before = await on.proxy.worker()
    worker = await on.proxy.renew()
    return RenewalBody(before=before.version, after=worker.version, worker=worker.pid)
