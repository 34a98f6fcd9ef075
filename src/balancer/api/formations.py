"""Formations: how many instances run, and whether any do."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from balancer.api.platform import On, Platform
from balancer.api.streams import progress_of
from balancer.domain.app import AppMode, AppName, BranchName
from balancer.domain.manifest import ProcessType
from balancer.services.interfaces import Tell
from balancer.wire.apps import AppBody, ModeBody
from balancer.wire.instances import FormationBody, Restart
from balancer.wire.releases import Progress

router = APIRouter()


@router.get("/apps/{app}/formation")
async def formation(on: On, app: str) -> FormationBody:
    """Return how many instances of each process type the app has."""
    return FormationBody.of(await on.formations.of(AppName(app)))


@router.patch("/apps/{app}/formation")
async def scale(on: On, app: str, asked: FormationBody) -> StreamingResponse:
    """Have other numbers of instances; a stream of Progress."""
    name, counts = AppName(app), asked.parsed()

    async def work(tell: Tell) -> Progress:
        return Progress(formation=FormationBody.of(await on.formations.scale(name, counts, tell)).formation)

    return progress_of(work)


@router.post("/apps/{app}/restart")
async def restart(on: On, app: str, what: Restart) -> StreamingResponse:
    """Replace instances by new ones of the same release; a stream of Progress."""
    name = AppName(app)
    branch = None if what.branch is None else BranchName(what.branch)
    process = None if what.process is None else ProcessType(what.process)

    async def work(tell: Tell) -> Progress:
        await on.formations.restart(name, branch, process, tell)
        return Progress(app=await _body(on, name))

    return progress_of(work)


@router.post("/apps/{app}/stop")
async def stop(on: On, app: str) -> StreamingResponse:
    """Let no instance of the app run; a stream of Progress."""
    name = AppName(app)

    async def work(tell: Tell) -> Progress:
        await on.formations.stop(name, tell)
        return Progress(app=await _body(on, name))

    return progress_of(work)


@router.post("/apps/{app}/start")
async def start(on: On, app: str) -> StreamingResponse:
    """Start a stopped app; a stream of Progress."""
    name = AppName(app)

    async def work(tell: Tell) -> Progress:
        await on.formations.start(name, tell)
        return Progress(app=await _body(on, name))

    return progress_of(work)


@router.put("/apps/{app}/mode")
async def set_mode(on: On, app: str, wanted: ModeBody) -> AppBody:
    """Serve an app, pause it, or show its maintenance page."""
    await on.formations.set_mode(AppName(app), AppMode(wanted.mode))
    return await _body(on, AppName(app))


async def _body(on: Platform, name: AppName) -> AppBody:
    app = await on.registry.app(name)
    return AppBody.of(app, on.urls(app))
