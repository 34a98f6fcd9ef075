"""The sheets of the overview."""

from balancer.api.pages.overview import PAGE_SIZE, sheet_of
from balancer.domain.app import AppName

NAMES = tuple(sorted(AppName(f"shop{number}") for number in range(120)))


def test_a_thousand_apps_come_in_sheets_and_each_is_on_one() -> None:
    sheets = [sheet_of(NAMES, "", number) for number in (1, 2, 3)]
    assert [len(sheet.names) for sheet in sheets] == [PAGE_SIZE, PAGE_SIZE, 20]
    assert tuple(name for sheet in sheets for name in sheet.names) == NAMES
    assert {(sheet.sheets, sheet.found, sheet.apps) for sheet in sheets} == {(3, 120, 120)}


def test_a_sheet_beyond_the_last_is_the_last() -> None:
    assert sheet_of(NAMES, "", 99) == sheet_of(NAMES, "", 3)
    assert sheet_of((), "", 99).number == 1


def test_the_filter_is_a_part_of_the_name_in_whichever_case() -> None:
    sheet = sheet_of(NAMES, " SHOP11 ", 1)
    assert (sheet.found, sheet.apps, sheet.names[0]) == (11, 120, "shop11")
    assert sheet_of(NAMES, "<script>", 1).names == ()


def test_those_that_need_a_look_are_counted_and_can_be_shown_alone() -> None:
    unwell = frozenset({AppName("shop7"), AppName("shop110"), AppName("gone")})
    sheet = sheet_of(NAMES, "", 1, unwell=unwell)
    assert (sheet.unwell, sheet.found) == (2, 120)
    alone = sheet_of(NAMES, "", 1, unwell=unwell, only_unwell=True)
    assert alone.names == ("shop110", "shop7")
    assert alone.address(2) == "/?q=&page=2&unwell=yes"
    assert sheet_of(NAMES, "11", 1, unwell=unwell, only_unwell=True).names == ("shop110",)
