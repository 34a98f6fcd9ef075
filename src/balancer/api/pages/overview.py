"""The overview, `/`: every app, and what goes on at it."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from balancer.api.pages.live import Parts, live
from balancer.api.pages.rendering import fragment, page
from balancer.api.platform import On, Platform
from balancer.domain.app import AppName
from balancer.services.overview import AppStanding

router = APIRouter()
# 50: some screens full; more would be slow to read before they were slow to make.
PAGE_SIZE = 50
Filter = Annotated[str, Query(alias="q", max_length=100, description="Part of an app's name.")]
Unwell = Annotated[bool, Query(alias="unwell", description="Only those that somebody should look at.")]
PageNumber = Annotated[int, Query(alias="page", ge=1, le=100_000)]
_made: dict[AppName, tuple[AppStanding, str]] = {}
"""What was rendered last of each app, and of what: most apps are as they were two seconds ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One page of the list of apps."""

    wanted: str
    """What the names are filtered by."""
    number: int
    """Of the sheet, from 1."""
    sheets: int
    found: int
    """How many apps the filter lets through."""
    apps: int
    """How many there are."""
    unwell: int
    """How many of them somebody should look at."""
    only_unwell: bool
    names: tuple[AppName, ...]
    """Those on this sheet."""

    def address(self, number: int) -> str:
        """Return the address of another sheet of the same apps."""
        asked = {"q": self.wanted, "page": number} | ({"unwell": "yes"} if self.only_unwell else {})
        return f"/?{urlencode(asked)}"


def sheet_of(
    names: tuple[AppName, ...],
    wanted: str,
    number: int,
    *,
    unwell: Set[AppName] = frozenset(),
    only_unwell: bool = False,
) -> Sheet:
    """Return the sheet with this number, or the last one, of those apps whose names have `wanted` in them.

    With `only_unwell`, of those that are among `unwell`.
    """
    found = [name for name in names if wanted.strip().lower() in name and (name in unwell or not only_unwell)]
    sheets = max(1, -(-len(found) // PAGE_SIZE))
    number = min(number, sheets)
    return Sheet(
        wanted=wanted.strip(),
        number=number,
        sheets=sheets,
        found=len(found),
        apps=len(names),
        unwell=sum(name in unwell for name in names),
        only_unwell=only_unwell,
        names=tuple(found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]),
    )


@router.get("/")
async def overview(
    on: On, request: Request, wanted: Filter = "", number: PageNumber = 1, only_unwell: Unwell = False
) -> Response:
    """Show every app."""
    sheet, rows = await _rows(on, wanted, number, only_unwell=only_unwell)
    return await page(request, "overview.html", sheet=sheet, rows=rows, live=f"/live?{request.url.query}")


@router.get("/live")
async def overview_live(
    on: On, request: Request, wanted: Filter = "", number: PageNumber = 1, only_unwell: Unwell = False
) -> Response:
    """Keep that page up to date."""
    shown: list[Sheet] = []

    async def parts() -> Parts:
        sheet, rows = await _rows(on, wanted, number, only_unwell=only_unwell)
        if shown[-1:] != [sheet]:  # an app came or went, or this is the first look: the list as a whole
            shown[:] = [sheet]
            return {"apps": fragment("standing.html", "apps", sheet, rows), **rows}
        return rows

    return live(request, parts)


async def _rows(on: Platform, wanted: str, number: int, *, only_unwell: bool) -> tuple[Sheet, dict[str, str]]:
    """Return a sheet, and the HTML of each app on it by the id of its element."""
    sheets: list[Sheet] = []

    def chosen(names: tuple[AppName, ...], unwell: Set[AppName]) -> frozenset[AppName]:
        sheets.append(sheet_of(names, wanted, number, unwell=unwell, only_unwell=only_unwell))
        return frozenset(sheets[0].names)

    standings = await on.overviews.of(chosen)
    return sheets[0], {f"app-{standing.name}": _row(standing) for standing in standings}


def _row(standing: AppStanding) -> str:
    before = _made.get(standing.name)
    if before is not None and before[0] == standing:
        return before[1]
    made = fragment("standing.html", "app", standing)
    _made[standing.name] = (standing, made)
    return made
