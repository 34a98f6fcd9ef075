"""What the page of a split waits for, and what it does not."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from balancer.api.pages import split_sheet
from balancer.api.pages.split_sheet import sheet_of
from balancer.api.platform import Platform
from balancer.domain.calendar import TimeZone
from balancer.domain.split import SplitState
from balancer.errors import LedgerUnavailable, Unavailable
from balancer.stats.cells import SplitCells
from balancer.wire.asked import Asked
from services.test_report import NOON, SOUND, SPLIT, look
from views.test_headline import DAYS

pytestmark = pytest.mark.anyio
Answer = Callable[..., Coroutine[Any, Any, Any]]


def says(value: object) -> Answer:
    async def answer(*_: object, **__: object) -> object:
        return value

    return answer


async def hangs(*_: object, **__: object) -> object:
    return await asyncio.Event().wait()


async def fails(*_: object, **__: object) -> object:
    raise LedgerUnavailable("it died")


def platform(
    *,
    report: Answer | None = None,
    visitors: Answer | None = None,
    raw: Answer | None = None,
    values: Answer | None = None,
) -> Platform:
    """Return what a sheet asks, whose ledger answers as it is told to."""
    details = SimpleNamespace(
        zone=says(TimeZone("UTC")),
        looks=says(()),
        course=says(None),
        visitors=visitors or says(DAYS),
        values=values or says(None),
    )
    made = SimpleNamespace(
        reports=SimpleNamespace(with_cells=report or says((look(SOUND), SplitCells())), by_dimension=hangs),
        split_details=details,
        registry=SimpleNamespace(releases=says(())),
        raw_stats=SimpleNamespace(of=raw or says(None)),
    )
    return cast("Platform", made)


async def test_a_part_that_the_ledger_does_not_answer_for_in_time_says_so_and_the_others_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split_sheet, "_SECTION_SECONDS", 0.5)
    sheet = await sheet_of(platform(raw=hangs), SPLIT, Asked(dimension="device"))
    assert sheet.visitors is not None
    assert sheet.metrics
    assert set(sheet.troubles) == {"event", "breakdown"}
    assert "has not said it within 0.5 s" in sheet.troubles["event"]


async def test_a_part_that_fails_says_why() -> None:
    sheet = await sheet_of(platform(visitors=fails), SPLIT, Asked())
    assert "it died" in sheet.troubles["visitors"]
    assert sheet.visitors is None


async def test_questions_are_asked_at_once() -> None:
    both = asyncio.Barrier(2)

    async def values(*_: object) -> object:
        await both.wait()
        return None

    async def raw(*_: object, **__: object) -> object:
        await both.wait()
        return None

    sheet = await sheet_of(platform(values=values, raw=raw), SPLIT, Asked())
    assert sheet.troubles == {}


async def test_the_visitors_are_those_that_the_report_counted_and_are_asked_for_only_where_it_was_kept() -> None:
    given: list[object] = []

    async def days(_: object, cells: object = None) -> object:
        given.append(cells)
        return DAYS

    counted = SplitCells()
    await sheet_of(platform(report=says((look(SOUND), counted)), visitors=days), SPLIT, Asked())
    over = replace(SPLIT, state=SplitState.CANCELLED, ended_at=NOON + timedelta(days=1))
    await sheet_of(platform(report=says((look(SOUND), None)), visitors=days), over, Asked())
    assert given == [counted, None]


async def test_without_a_report_there_is_no_page_and_nobody_waits_for_it_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(LedgerUnavailable, match="it died"):
        await sheet_of(platform(report=fails, visitors=hangs), SPLIT, Asked())
    monkeypatch.setattr(split_sheet, "_REPORT_SECONDS", 0.05)
    with pytest.raises(Unavailable, match=r"longer than 0\.05 s to report on"):
        await sheet_of(platform(report=hangs), SPLIT, Asked())


async def test_the_file_of_one_chart_asks_for_that_chart_alone() -> None:
    sheet = await sheet_of(platform(raw=hangs), SPLIT, Asked(dimension="device"), only="visitors")
    assert "visitors" in sheet.figures
    assert sheet.troubles == {}
