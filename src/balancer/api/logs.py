"""What instances print, and what builds printed."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from balancer.api.platform import On, Platform
from balancer.api.streams import NDJSON
from balancer.domain.app import AppName, BranchName
from balancer.domain.manifest import ProcessType
from balancer.domain.release import Release, ReleaseState
from balancer.errors import BranchNotFound, ReleaseNotFound
from balancer.runner.instance_logs import NamedLine, follow, tail
from balancer.wire.instances import LogLine

router = APIRouter()


@router.get("/apps/{app}/logs")
async def logs(
    on: On,
    app: str,
    branch: str | None = None,
    release: Annotated[int | None, Query(ge=1)] = None,
    process: str | None = None,
    lines: Annotated[int, Query(ge=0, le=10_000)] = 100,
    following: Annotated[bool, Query(alias="follow")] = False,
) -> StreamingResponse:
    """Return what the live instances print, or everything of one release; a stream of LogLine, a JSON object a line."""
    name, only = (await on.registry.app(AppName(app))).name, None if branch is None else BranchName(branch)
    kind = None if process is None else ProcessType(process)

    async def files() -> Mapping[str, Path]:
        if release is not None:
            return _of_release(on, await _numbered(on, name, release), kind)
        return await _of_live(on, name, only, kind)

    there = await files()
    if not there and not following:
        raise BranchNotFound(
            f"{only or app} has no live instance whose log could be shown; push it first, or "
            f"name a release: `balancer logs {app} --release N`"
        )

    async def entries() -> AsyncIterator[str]:
        if not following:
            for line in await tail(there, lines):
                yield _entry(line)
            return
        async for line in follow(files, lines):
            yield _entry(line)

    return StreamingResponse(entries(), media_type=NDJSON)


def _entry(line: NamedLine) -> str:
    return LogLine(at=line.at, instance=line.name, line=line.text).model_dump_json() + "\n"


async def _numbered(on: Platform, app: AppName, number: int) -> Release:
    for release in await on.registry.releases(app, limit=1000):
        if release.number == number:
            return release
    raise ReleaseNotFound(f"{app} has no release {number}; `balancer releases {app}` shows those there are")


def _of_release(on: Platform, release: Release, kind: ProcessType | None) -> dict[str, Path]:
    return {
        f"{release.branch}.{release.number} {label}": path
        for label, path in on.workspace.logs(release).items()
        if kind in (None, label.partition(".")[0])
    }


async def _of_live(on: Platform, app: AppName, branch: BranchName | None, kind: ProcessType | None) -> dict[str, Path]:
    snapshot = await on.registry.snapshot()
    return {
        f"{release.branch}.{release.number} {instance.label}": on.workspace.instance_log(release, instance)
        for release in snapshot.releases
        if release.app == app and branch in (None, release.branch) and release.state is ReleaseState.LIVE
        for instance in snapshot.instances_of(release)
        if kind in (None, instance.type)
    }
