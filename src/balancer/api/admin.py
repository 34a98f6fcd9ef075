"""The admin API: apps, releases, splits, reports, logs.

Every route needs a token; every failure is an ErrorBody with the status of its error.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from balancer import __version__
from balancer.api import access
from balancer.api.platform import Platform, platform_of
from balancer.api.streams import lines_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.release import Release, ReleaseState
from balancer.errors import BalancerError, BranchNotFound, ProxyFailed
from balancer.runner.instance_logs import follow, tail
from balancer.services.interfaces import Tell
from balancer.services.report import Report
from balancer.wire import (
    AppBody,
    ConfigBody,
    ErrorBody,
    InstanceBody,
    LogLine,
    NewApp,
    Progress,
    ReleaseBody,
    RemoteBody,
    Return,
    SplitBody,
    StatusBody,
    WeightsBody,
)

_NDJSON = "application/x-ndjson"


async def _with_token(request: Request) -> None:
    await access.check(request, platform_of(request).registry)


On = Annotated[Platform, Depends(platform_of)]
router = APIRouter(prefix="/api", dependencies=[Depends(_with_token)])


@router.get("/status")
async def status(on: On) -> StatusBody:
    """Tell how the platform is."""
    snapshot = await on.registry.snapshot()
    dropped_lines = None
    with contextlib.suppress(ProxyFailed):  # how the platform is, is asked most when something does not answer
        dropped_lines = await on.dropped_lines()
    return StatusBody(
        version=__version__,
        pid=os.getpid(),
        site=f"http://{on.domain}{on.site}/",
        apps=len(snapshot.apps),
        instances=len(snapshot.instances),
        running=len(on.supervisor.running()),
        ledger=await on.ledger_state(),
        dropped_lines=dropped_lines,
    )


@router.get("/apps")
async def apps(on: On) -> list[AppBody]:
    """List the apps."""
    return [AppBody.of(app, on.urls(app)) for app in await on.registry.apps()]


@router.post("/apps", status_code=201)
async def create_app(on: On, new: NewApp) -> AppBody:
    """Create an app and its repository."""
    branch = BranchName(new.default_branch) if new.default_branch else None
    app = await on.apps.create(AppName(new.name), branch)
    return AppBody.of(app, on.urls(app))


@router.get("/apps/{app}")
async def show_app(on: On, app: str) -> AppBody:
    """Show an app."""
    found = await on.registry.app(AppName(app))
    return AppBody.of(found, on.urls(found))


@router.get("/apps/{app}/remote")
async def remote(on: On, app: str, request: Request) -> RemoteBody:
    """Return the URL to push an app to."""
    found = await on.registry.app(AppName(app))
    return RemoteBody(remote=f"http://balancer:{on.token}@{request.url.netloc}/git/{found.name}.git")


@router.get("/apps/{app}/config")
async def config(on: On, app: str) -> ConfigBody:
    """Return the config vars that the app's next release will have."""
    return ConfigBody(config=dict(await on.registry.config(AppName(app))))


@router.patch("/apps/{app}/config")
async def set_config(on: On, app: str, changes: ConfigBody) -> ConfigBody:
    """Change config vars, for the releases to come."""
    return ConfigBody(config=dict(await on.registry.set_config(AppName(app), changes.parsed())))


@router.get("/apps/{app}/releases")
async def releases(on: On, app: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[ReleaseBody]:
    """List the releases of an app, newest first."""
    return [ReleaseBody.of(release) for release in await on.registry.releases(AppName(app), limit)]


@router.get("/apps/{app}/instances")
async def instances(on: On, app: str) -> list[InstanceBody]:
    """List the instances of an app that are not stopped."""
    await on.registry.app(AppName(app))
    snapshot = await on.registry.snapshot()
    running = on.supervisor.running()
    return [
        InstanceBody.of(instance, release, running=instance.id in running)
        for release in snapshot.releases
        if release.app == app
        for instance in snapshot.instances_of(release)
    ]


@router.post("/apps/{app}/rollback")
async def rollback(on: On, app: str, to: Return) -> StreamingResponse:
    """Go back to the release before, or to a given one; a stream of Progress, a JSON object a line."""
    name = AppName(app)
    branch = BranchName(to.branch) if to.branch else None

    async def work(tell: Tell) -> Release:
        return await on.deploys.rollback(name, branch, to.release, tell)

    async def progress() -> AsyncIterator[str]:
        async for item in lines_of(work):
            yield (
                Progress(line=item) if isinstance(item, str) else _ended(item.exception(), item)
            ).model_dump_json() + "\n"

    def _ended(error: BaseException | None, task: object) -> Progress:
        if error is None:
            return Progress(release=ReleaseBody.of(task.result()))  # type: ignore[attr-defined]
        if isinstance(error, BalancerError):
            return Progress(error=ErrorBody.of(error))
        raise error

    return StreamingResponse(progress(), media_type=_NDJSON)


@router.get("/apps/{app}/split")
async def split(on: On, app: str) -> SplitBody:
    """Return the running split, else the one that ended last."""
    return SplitBody.of(await on.registry.split(AppName(app)))


@router.post("/apps/{app}/split", status_code=201)
async def start_split(on: On, app: str, weights: WeightsBody) -> SplitBody:
    """Begin a split."""
    control = BranchName(weights.control) if weights.control else None
    return SplitBody.of(await on.experiments.start(AppName(app), weights.parsed(), control))


@router.patch("/apps/{app}/split")
async def set_weights(on: On, app: str, weights: WeightsBody) -> SplitBody:
    """Give the running split new weights."""
    return SplitBody.of(await on.experiments.set_weights(AppName(app), weights.parsed()))


@router.delete("/apps/{app}/split")
async def cancel_split(on: On, app: str) -> SplitBody:
    """End the running split."""
    return SplitBody.of(await on.experiments.cancel(AppName(app)))


@router.get("/apps/{app}/report")
async def report(on: On, app: str) -> Report:
    """Compare the variants of the running split, else of the one that ended last."""
    return await on.reports.of(AppName(app))


@router.get("/apps/{app}/logs")
async def logs(
    on: On,
    app: str,
    branch: str | None = None,
    lines: Annotated[int, Query(ge=0, le=10_000)] = 100,
    following: Annotated[bool, Query(alias="follow")] = False,
) -> StreamingResponse:
    """Return what the live instances print; a stream of LogLine, a JSON object a line."""
    name, only = (await on.registry.app(AppName(app))).name, BranchName(branch) if branch else None
    files = await _log_files(on, name, only)
    if not files and not following:
        raise BranchNotFound(f"{only or app} has no live instance whose log could be shown; push it first")

    async def entries() -> AsyncIterator[str]:
        found = follow(lambda: _log_files(on, name, only), lines) if following else tail(files, lines)
        async for instance, line in found:
            yield LogLine(instance=instance, line=line).model_dump_json() + "\n"

    return StreamingResponse(entries(), media_type=_NDJSON)


async def _log_files(on: Platform, app: AppName, branch: BranchName | None) -> Mapping[str, Path]:
    snapshot = await on.registry.snapshot()
    return {
        f"{release.branch}.{release.number} web.{instance.index}": on.workspace.instance_log(release, instance)
        for release in snapshot.releases
        if release.app == app and branch in (None, release.branch) and release.state is ReleaseState.LIVE
        for instance in snapshot.instances_of(release)
    }
