"""Forecasts of rollouts: the longer of time and visitors, the hours, and nothing that nobody knows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from balancer.domain.calendar import TimeZone
from balancer.domain.freeze import Freeze, hold
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import Seen, What, decide
from balancer.domain.rollout_forecast import StepForecast, Traffic, forecast
from balancer.domain.split import SplitId
from values import SHOP, TEST

VIENNA = TimeZone("Europe/Vienna")
NOON = datetime(2026, 3, 4, 11, 0, tzinfo=UTC)  # a Wednesday; 12:00 in Vienna
PLAN = Plan(steps=(100, 5000, 10_000), step_seconds=3600)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BUSY = Traffic(a_day=20_000)  # 1 % are 200 a day


def steps(
    plan: Plan, traffic: Traffic, *freezes: Freeze, at: datetime = NOON
) -> tuple[tuple[StepForecast, ...], datetime | None]:
    return forecast(SHOP, plan, traffic, at, VIENNA, freezes)


def test_a_step_takes_as_long_as_its_visitors_or_its_time_whichever_is_longer() -> None:
    (one, two, three), everybody = steps(PLAN, BUSY)
    assert (one.weight, one.a_day, one.begins, one.seconds) == (100, 200, NOON, 86_400)
    assert (two.begins, two.seconds) == (NOON + DAY, 3600), "10,000 a day have brought 200 within half an hour"
    assert (three.begins, three.seconds) == (NOON + DAY + HOUR, None)
    assert (one.waits_for, two.waits_for) == ("200 visitors", "the time of a step")
    assert everybody == NOON + DAY + HOUR


def test_of_a_rollout_that_goes_on_what_it_has_had_counts() -> None:
    (one, *_), _ = steps(PLAN, replace(BUSY, visitors=150, step_seconds=600))
    assert one.seconds == 86_400 / 4
    (two, _), _ = steps(PLAN, replace(BUSY, step=1, visitors=500, step_seconds=600))
    assert (two.step, two.seconds) == (1, 3000)
    (two, _), _ = steps(PLAN, replace(BUSY, step=1, visitors=500, step_seconds=9000))
    assert two.seconds == 0, "it is due"


def test_a_step_that_is_ready_at_night_is_taken_when_the_hours_open() -> None:
    plan = replace(PLAN, hours="Mon-Fri 09:00-10:00")
    (one, two, _), everybody = steps(plan, BUSY)
    assert one.seconds == (NOON + 2 * DAY - 3 * HOUR - NOON).total_seconds(), "Friday at nine"
    assert two.begins == NOON + 2 * DAY - 3 * HOUR
    assert everybody == NOON + 5 * DAY - 3 * HOUR, "10:00 is too late, so Monday"
    assert one.waits_for == "200 visitors, then hours and freezes"


def test_a_freeze_is_waited_out() -> None:
    freeze = Freeze(number=1, app=None, since=NOON + HOUR, until=NOON + 9 * DAY, why="Fair")
    (_, two, _), _ = steps(PLAN, BUSY, freeze)
    assert two.begins == NOON + 9 * DAY


@pytest.mark.parametrize("a_day", [None, 0.0])
def test_without_traffic_nothing_has_a_date(a_day: float | None) -> None:
    (one, two, three), everybody = steps(PLAN, Traffic(a_day=a_day))
    assert (one.begins, one.seconds) == (NOON, None)
    assert (two.begins, two.seconds, three.begins, everybody) == (None, None, None, None)


def test_traffic_that_is_nearly_none_has_no_date_beyond_all_calendars() -> None:
    (_, two, _), everybody = steps(PLAN, Traffic(a_day=1e-300))
    assert (two.begins, everybody) == (None, None)


def test_everybodys_step_waits_for_the_verdict_and_for_seven_days_since_the_beginning() -> None:
    plan = replace(PLAN, metric="purchase")
    (_, two, three), _ = steps(plan, replace(BUSY, verdict_days=3))
    assert two.waits_for == "7 days"
    assert three.begins == NOON + 7 * DAY
    (_, two, three), _ = steps(plan, replace(BUSY, verdict_days=20))
    assert three.begins == NOON + 21 * DAY
    (_, two, three), _ = steps(replace(plan, goal=Goal.NOT_WORSE), replace(BUSY, verdict_days=3))
    assert three.begins == NOON + 4 * DAY
    (_, two, three), everybody = steps(plan, BUSY)
    assert (two.seconds, two.waits_for) == (None, "a verdict of purchase")
    assert (three.begins, everybody) == (None, None)


def test_a_promotion_takes_the_place_of_everybodys_step() -> None:
    _, everybody = steps(replace(PLAN, auto_promote=True), BUSY)
    assert everybody == NOON + DAY + HOUR
    halfway = replace(PLAN, steps=(100, 5000))
    assert steps(halfway, BUSY)[1] is None, "a person has to promote it"
    assert steps(replace(halfway, auto_promote=True), BUSY)[1] == NOON + DAY + HOUR


def test_a_last_step_below_everybody_says_when_it_has_what_it_needs() -> None:
    experiment = Plan(steps=(5000,), step_seconds=600, metric="purchase")
    (one,), everybody = steps(experiment, replace(BUSY, verdict_days=12))
    assert (one.seconds, one.waits_for) == (12 * 86_400, "a verdict of purchase")
    assert everybody is None, "a person has to promote it"


@pytest.mark.parametrize("hours", [None, "Mon-Fri 09:00-17:00", "Fri 22:00-02:00"])
@pytest.mark.parametrize("auto_promote", [False, True])
def test_it_is_what_is_decided_of_visitors_who_come_evenly(hours: str | None, auto_promote: bool) -> None:
    plan = Plan(steps=(500, 2500, 10_000), step_seconds=7200, hours=hours, auto_promote=auto_promote)
    freeze = Freeze(number=1, app=SHOP, since=NOON + 2 * DAY, until=NOON + 3 * DAY, why="Fair")
    rollout = Rollout(
        number=1,
        app=SHOP,
        branch=TEST,
        split=SplitId("s1"),
        plan=plan,
        state=RolloutState.RUNNING,
        step=0,
        phase=1,
        watch=Watch(ticks=0.0),
    )
    traffic = Traffic(a_day=3000)
    begun, at, since = [NOON], NOON, NOON
    tick = timedelta(minutes=5)
    while len(begun) < len(plan.steps):
        at += tick
        seen = Seen(
            phase=1,
            seconds=(at - NOON).total_seconds(),
            step_seconds=(at - since).total_seconds(),
            visitors=int(3000 * rollout.weight / 10_000 * ((at - since) / DAY)),
            hold=hold(SHOP, plan.open_hours, VIENNA, (freeze,), at, doubtful=False),
        )
        action = decide(rollout, seen)
        if action.what is not What.WAIT:
            begun.append(at)
            since, rollout = at, replace(rollout, step=rollout.step + 1)
    found, everybody = steps(plan, traffic, freeze)
    for step, really in zip(found, begun, strict=True):
        assert step.begins is not None
        assert timedelta() <= really - step.begins <= 2 * tick, (step.begins, really)
    assert everybody == found[-1].begins
