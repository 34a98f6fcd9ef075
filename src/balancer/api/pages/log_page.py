"""The log of an app, `/apps/APP/log`: what its instances print, as they print it, and the part of it one looks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from balancer.api.pages.doing import Line, lines_event, plain
from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import fragment, page
from balancer.api.platform import On, Platform
from balancer.domain.app import App, AppName, BranchName
from balancer.domain.release import ReleaseState
from balancer.runner.instance_logs import NamedLine, Reader

router = APIRouter()
# 500: some screens; who wants more looks for something.
_SHOWN = 500
# 20,000 lines are looked through, which takes some 100 ms; of each file no more than its last 1 MB is.
_SEARCHED = 20_000
Wanted = Annotated[str, Query(alias="q", max_length=200, description="A part of the line; upper case counts not.")]
Branch = Annotated[str, Query(max_length=200)]
Process = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which lines are wanted."""

    text: str = ""
    branch: str = ""
    """Empty: of every branch; so is the process type."""
    process: str = ""

    def finds(self, line: NamedLine) -> bool:
        """Tell whether a line is wanted."""
        return self.text.casefold() in line.text.casefold()

    @property
    def query(self) -> str:
        """The same, as a part of a URL."""
        parts = {"q": self.text, "branch": self.branch, "process": self.process}
        return urlencode({name: value for name, value in parts.items() if value})


@router.get("/apps/{app}/log")
async def log_page(
    on: On, request: Request, app: str, text: Wanted = "", branch: Branch = "", process: Process = ""
) -> Response:
    """Show the last lines that are wanted."""
    found = await on.registry.app(AppName(app))
    search = Search(text=text.strip(), branch=branch, process=process)
    lines = await _last(_reader(on, found, search), search)
    branches, processes = await _choices(on, found)
    return await page(
        request,
        "log.html",
        app=found,
        search=search,
        branches=branches,
        processes=processes,
        lines=lines,
        live=f"/apps/{found.name}/log/live?{search.query}".rstrip("?"),
    )


@router.get("/apps/{app}/log/live")
async def log_live(
    on: On, request: Request, app: str, text: Wanted = "", branch: Branch = "", process: Process = ""
) -> Response:
    """Send every line that is wanted as it is printed."""
    found = await on.registry.app(AppName(app))
    search = Search(text=text.strip(), branch=branch, process=process)
    reader = _reader(on, found, search)
    begun = False

    async def parts() -> Parts:
        nonlocal begun
        if begun:
            return {}
        begun = True
        return {"log": fragment("doing.html", "log", "log", await _last(reader, search), "pausable")}

    async def news() -> list[tuple[str, object]]:
        lines = [plain(line) for line in await reader.news() if search.finds(line)]
        return [lines_event("log", lines)] if lines else []

    return live(request, parts, news)


async def _last(reader: Reader, search: Search) -> list[Line]:
    there = await reader.begin(_SEARCHED if search.text else _SHOWN)
    return [plain(line) for line in there if search.finds(line)][-_SHOWN:]


def _reader(on: Platform, app: App, search: Search) -> Reader:
    async def files() -> Mapping[str, Path]:
        snapshot = await on.registry.snapshot()
        return {
            f"{release.branch}.{release.number} {instance.label}": on.workspace.instance_log(release, instance)
            for release in snapshot.releases_of(app.name)
            if release.state is ReleaseState.LIVE and search.branch in ("", release.branch)
            for instance in snapshot.instances_of(release)
            if search.process in ("", instance.type)
        }

    return Reader(files)


async def _choices(on: Platform, app: App) -> tuple[list[BranchName], list[str]]:
    """Return the branches and the process types that there are to choose from."""
    live = (await on.registry.snapshot()).live(app.name)
    types = {each for release in live.values() if release.manifest for each in release.manifest.types}
    return sorted(live), sorted(types)
