"""Freezes, and what keeps a rollout waiting by the clock on the wall."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from balancer.domain.calendar import TimeZone
from balancer.domain.freeze import Freeze, goes_on, hold, longest
from balancer.domain.hours import Hours
from balancer.errors import InvalidInput
from values import BLOG, SHOP

VIENNA = TimeZone("Europe/Vienna")
NOON = datetime(2026, 12, 23, 11, 0, tzinfo=UTC)  # a Wednesday; 12:00 in Vienna
DAY = timedelta(days=1)
FREEZE = Freeze(number=1, app=SHOP, since=NOON - DAY, until=NOON + DAY, why="Christmas")
OFFICE = Hours("Mon-Fri 09:00-17:00")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"until": FREEZE.since}, "ends after it has begun"),
        ({"until": FREEZE.since + 367 * DAY}, "within a year"),
        ({"since": datetime(2026, 12, 1)}, "in which time zone"),  # noqa: DTZ001 - what is wrong with it
        ({"why": ""}, "say why in one line"),
        ({"why": " "}, "say why in one line"),
        ({"why": "two\nlines"}, "say why in one line"),
        ({"why": "x" * 201}, "say why in one line"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        replace(FREEZE, **wrong)  # type: ignore[arg-type]


def test_its_beginning_belongs_to_it_and_its_end_does_not() -> None:
    assert FREEZE.in_force(FREEZE.since)
    assert not FREEZE.in_force(FREEZE.until)
    assert not FREEZE.in_force(FREEZE.since - timedelta(milliseconds=1))


def test_of_several_the_one_that_ends_last_counts_and_one_of_another_app_does_not() -> None:
    longer = replace(FREEZE, number=2, app=None, until=NOON + 3 * DAY)
    other = replace(FREEZE, number=3, app=BLOG, until=NOON + 9 * DAY)
    assert longest((FREEZE, longer, other), SHOP, NOON) == longer
    assert longest((FREEZE, longer, other), SHOP, NOON + 3 * DAY) is None


def test_without_hours_and_freezes_nothing_is_held_whatever_the_clock_does() -> None:
    assert hold(SHOP, None, VIENNA, (replace(FREEZE, app=BLOG),), NOON, doubtful=True) is None


def test_a_freeze_holds_and_says_why_and_until_when() -> None:
    held = hold(SHOP, None, VIENNA, (FREEZE,), NOON, doubtful=False)
    assert held is not None
    assert (held.rule, held.ends) == ("freeze", "2026-12-24T12:00+01:00")
    assert "a freeze until 2026-12-24T12:00+01:00 (Christmas)" in held.reason


def test_outside_the_hours_it_holds_until_they_open() -> None:
    assert hold(SHOP, OFFICE, VIENNA, (), NOON, doubtful=False) is None
    held = hold(SHOP, OFFICE, VIENNA, (), NOON + timedelta(hours=6), doubtful=False)
    assert held is not None
    assert (held.rule, held.ends) == ("outside hours", "2026-12-24T09:00+01:00")
    assert "Mon-Fri 09:00-17:00 (Europe/Vienna) alone" in held.reason


def test_freezes_and_hours_end_together_at_the_first_moment_that_is_free_of_both() -> None:
    evening = replace(FREEZE, until=NOON + timedelta(hours=7))  # 19:00
    early = replace(FREEZE, number=2, since=NOON + timedelta(hours=20), until=NOON + timedelta(hours=22))  # until 10:00
    held = hold(SHOP, OFFICE, VIENNA, (evening, early), NOON, doubtful=False)
    assert held is not None
    assert held.ends == "2026-12-24T10:00+01:00"
    assert goes_on(SHOP, OFFICE, VIENNA, (evening, early), NOON + 2 * DAY) == NOON + 2 * DAY


@pytest.mark.parametrize(
    ("hours", "freezes"), [(OFFICE, ()), (None, (FREEZE,)), (None, (replace(FREEZE, until=NOON),))]
)
def test_a_clock_in_doubt_holds_what_goes_by_it(hours: Hours | None, freezes: tuple[Freeze, ...]) -> None:
    held = hold(SHOP, hours, VIENNA, freezes, NOON, doubtful=True)
    assert held is not None
    assert (held.rule, held.ends) == ("clock was set", None)
