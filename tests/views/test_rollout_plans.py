"""The plan of a rollout in words: each step a row, and what is to be said beside them."""

from dataclasses import replace

from balancer.services.rollout_planning import PlannedStep, PlannedVerdict, RolloutForecast
from balancer.views.lasting import lasting
from balancer.views.rollout_plans import rows_of, sentences

STEP = PlannedStep(
    step=1,
    weight=10.0,
    visitors_a_day=80.0,
    begins="2026-03-01T13:00+01:00",
    seconds=216_000.0,
    waits_for="200 visitors",
)
LAST = PlannedStep(step=2, weight=100.0, visitors_a_day=800.0, begins=None, seconds=None, waits_for="")
PLAN = RolloutForecast(
    app="shop",
    branch="test",
    hours="Mon-Fri 09:00-17:00",
    timezone="Europe/Vienna",
    visitors_a_day=800.0,
    visitors_from="s1",
    visitors_within=None,
    steps=(STEP, LAST),
    verdict=PlannedVerdict(
        metric="purchase", visitors=23_170, days=12, window_seconds=259_200, because="a gain of 0.02 beside 0.2"
    ),
    everybody="2026-03-20T09:00+01:00",
    lacking=None,
)


def test_each_step_is_a_row() -> None:
    assert rows_of(PLAN) == (
        ("1", "10 %", "80", "2026-03-01 13:00+01:00", "2 days", "200 visitors"),
        ("2", "100 %", "800", "not known", "", ""),
    )


def test_what_is_reckoned_with_and_when_everybody_gets_it_is_said() -> None:
    assert list(sentences(PLAN)) == [
        "It goes on by itself Mon-Fri 09:00-17:00 alone (Europe/Vienna)",
        "At 800 visitors a day, as s1 had them, if nothing speaks against it",
        "purchase: a gain of 0.02 beside 0.2 takes 23,170 visitors, which is 12 days; 3 days later the last of "
        "them count",
        "Everybody gets test at 2026-03-20 09:00+01:00, at the earliest",
    ]


def test_where_a_short_split_tells_the_traffic_it_is_said_how_short() -> None:
    brief = replace(PLAN, hours=None, verdict=None, visitors_within=840.0)
    assert next(iter(sentences(brief))) == (
        "At 800 visitors a day, as s1 had them within 14 minutes, if nothing speaks against it"
    )


def test_what_is_not_known_is_said_and_no_date_beside_it() -> None:
    plain = replace(PLAN, hours=None, visitors_a_day=None, verdict=None, lacking="not enough data: nobody came")
    assert list(sentences(plain)) == ["Not enough data: nobody came"]


def test_few_visitors_a_day_are_not_rounded_to_none() -> None:
    few = replace(PLAN, steps=(replace(STEP, visitors_a_day=0.25),))
    assert rows_of(few)[0][2] == "0.25"


def test_how_long_something_lasts_is_said_in_its_largest_unit() -> None:
    shown = [lasting(seconds) for seconds in (None, 0.4, 59, 60, 7200, 86_400)]
    assert shown == ["", "0 s", "59 s", "1 minute", "2 hours", "1 day"]
