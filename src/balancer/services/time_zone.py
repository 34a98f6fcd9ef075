"""The time zone of an app: what its default branch's live release says, else what the platform does.

Used by whatever shows or takes dates of an app.
"""

from balancer.domain.app import AppName
from balancer.domain.calendar import TimeZone
from balancer.errors import AppNotFound
from balancer.services.registry import Registry


async def zone_of(registry: Registry, app: AppName, otherwise: TimeZone) -> TimeZone:
    """Return the time zone of an app. Raises AppNotFound, InvalidName where this machine does not know it."""
    snapshot = await registry.snapshot()
    found = next((each for each in snapshot.apps if each.name == app), None)
    if found is None:
        raise AppNotFound(app)
    release = snapshot.live(app).get(found.default_branch) if found.default_branch else None
    said = release.manifest.timezone if release and release.manifest else None
    return TimeZone(said) if said else otherwise
