"""Config vars of an app."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName
from balancer.services.interfaces import Tell
from balancer.wire.apps import ConfigBody, ConfigChange
from balancer.wire.releases import Progress

router = APIRouter()


@router.get("/apps/{app}/config")
async def config(on: On, app: str) -> ConfigBody:
    """Return the config vars that the app's next release will have."""
    return ConfigBody(config=await on.registry.config(AppName(app)))


@router.patch("/apps/{app}/config")
async def change_config(on: On, app: str, change: ConfigChange) -> StreamingResponse:
    """Change config vars, by a release of what is live on each branch; a stream of Progress."""
    name, changes = AppName(app), change.parsed()

    async def work(tell: Tell) -> Progress:
        return Progress(config=await on.config_vars.change(name, changes, tell, later=change.later))

    return progress_of(work)
