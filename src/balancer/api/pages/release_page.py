"""The page of one release, `/apps/APP/releases/N`: what it is of, what became of it, and all that its deploy said."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.pages.acting import viewer_of
from balancer.api.pages.doing import Line, lines_event
from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import fragment, page
from balancer.api.platform import On, Platform
from balancer.domain.app import AppName
from balancer.domain.release import Release
from balancer.errors import ReleaseNotFound
from balancer.runner.instance_logs import Reader

router = APIRouter()
# 5,000: the log of a build is cut at less, but where a release command prints for long.
_SHOWN = 5000


@router.get("/apps/{app}/releases/{number}")
async def release_page(on: On, request: Request, app: str, number: int) -> Response:
    """Show one release."""
    release = await _release(on, AppName(app), number)
    lines = [Line(line.text) for line in await _reader(on, release).begin(_SHOWN)]
    return await page(
        request,
        "release.html",
        release=release,
        lines=lines,
        viewer=await viewer_of(request),
        live=f"/apps/{release.app}/releases/{number}/live",
    )


@router.get("/apps/{app}/releases/{number}/live")
async def release_live(on: On, request: Request, app: str, number: int) -> Response:
    """Keep that page up to date."""
    name = AppName(app)
    release = await _release(on, name, number)
    reader = _reader(on, release)
    begun = False

    async def parts() -> Parts:
        nonlocal begun
        found = await _release(on, name, number)
        head = {"release": fragment("release_parts.html", "head", found)}
        if begun:
            return head
        begun = True
        lines = [Line(line.text) for line in await reader.begin(_SHOWN)]
        return {**head, "log": fragment("doing.html", "log", "log", lines)}

    async def news() -> list[tuple[str, object]]:
        lines = [Line(line.text) for line in await reader.news()]
        return [lines_event("log", lines)] if lines else []

    return live(request, parts, news)


def _reader(on: Platform, release: Release) -> Reader:
    async def files() -> Mapping[str, Path]:
        return {"build": on.workspace.build_log(release)}

    return Reader(files)


async def _release(on: Platform, app: AppName, number: int) -> Release:
    for release in await on.registry.releases(app, limit=1000):
        if release.number == number:
            return release
    raise ReleaseNotFound(f"{app} has no release {number}; /apps/{app} lists those there are")
