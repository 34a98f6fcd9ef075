import math
from dataclasses import replace
from datetime import timedelta

from balancer.domain.app import BranchName
from balancer.domain.calendar import TimeZone
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import Action, Guard, What
from balancer.domain.rollout_decision import Seen as SeenByRollout
from balancer.domain.split import CANARY, SplitId, SplitState
from balancer.services.decisions import decided
from balancer.services.split_detail import Course, VisitorDays, VisitorSpan
from balancer.views.headline import Act, Kind, lights, next_steps, visitors_a_day
from measured import rates
from registries import SHOP
from services.test_report import BROKEN, CLEAR, MASTER, NOON, SOUND, SPLIT, look
from test_typed import fault

HOUR = 3_600_000
DAYS = VisitorDays(
    timezone="UTC",
    branches=("master", "test"),
    spans=(
        VisitorSpan(day="2026-03-01", phase=1, start=0, end=24 * HOUR, visitors=(300, 300)),
        VisitorSpan(day="2026-03-02", phase=1, start=24 * HOUR, end=36 * HOUR, visitors=(150, 150)),
    ),
)


def course(*guards: tuple[str, float]) -> Course:
    """Return a rollout that saw its guardrails at these E."""
    rollout = Rollout(
        number=1,
        app=SHOP,
        branch=BranchName("feat/x"),
        split=SplitId("s1"),
        plan=Plan(),
        state=RolloutState.RUNNING,
        step=0,
        phase=2,
        watch=Watch(ticks=0.0),
    )
    found = tuple(Guard(name=name, log_e=math.log(e), p=0.5, figures="1 of 2") for name, e in guards)
    seen = SeenByRollout(phase=2, seconds=10.0, step_seconds=10.0, visitors=5, guards=found)
    action = Action(what=What.WAIT, rule="too soon", reason="590 s of 600 s are left")
    decision = decided(rollout, seen, action, (NOON + timedelta(days=2)).isoformat())
    return Course(rollout=rollout, decisions=(decision,))


def test_a_sample_ratio_that_alarms_is_the_first_light() -> None:
    sound, broken = lights(look(SOUND), None)[0], lights(look(BROKEN), None)[0]
    assert (sound.kind, sound.word) == (Kind.GOOD, "as intended")
    assert (broken.kind, broken.word) == (Kind.BAD, "alarm")
    assert "master 1,400" in sound.reason


def test_guardrails_have_the_lights_of_their_limits() -> None:
    found = lights(look(SOUND), course(("errors", 1.0), ("latency", 20.0), ("refunds", 100.0)))
    assert [(each.name, each.kind, each.word) for each in found[1:]] == [
        ("errors", Kind.GOOD, "no harm shown"),
        ("latency", Kind.WARN, "in doubt"),
        ("refunds", Kind.BAD, "breached"),
    ]


def test_a_broken_split_is_mended_before_anything_is_read() -> None:
    (step,) = next_steps(look(BROKEN), None, None)
    assert step.command == "balancer split reshuffle shop"
    assert step.act == Act(words="Begin it anew…", page="/apps/shop/split/reshuffle")


def test_a_branch_that_is_shown_to_be_better_is_given_to_everybody() -> None:
    (step,) = next_steps(look(CLEAR), None, None)
    assert step.command == "balancer split conclude shop --winner feat/x"
    assert step.act == Act(words="Give everybody feat/x…", page="/apps/shop/split/conclude?winner=feat%2Fx")


def test_of_a_rollout_that_goes_on_the_rollout_is_steered() -> None:
    (ship,) = next_steps(look(CLEAR), None, course())
    (broken,) = next_steps(look(BROKEN), None, course())
    assert (ship.command, broken.command) == ("balancer rollout promote shop", "balancer rollout abort shop")
    assert ship.act is not None
    assert broken.act is not None
    assert (ship.act.page, broken.act.page) == ("/apps/shop/rollout/promote", "/apps/shop/rollout/abort")


def test_what_a_rollout_has_left_behind_is_mended_and_its_figures_ask_for_nothing() -> None:
    stopped = course()
    stopped = replace(stopped, rollout=replace(stopped.rollout, state=RolloutState.ROLLED_BACK))
    phases = (SPLIT.phases[0], replace(SPLIT.phases[1], weights={MASTER: 10_000, BranchName("feat/x"): 0}))
    (step,) = next_steps(look(CLEAR, replace(SPLIT, phases=phases)), None, stopped)
    assert step.command == "balancer rollout start shop feat/x"
    assert step.act == Act(words="Begin a rollout…", page="/apps/shop/rollout/start?branch=feat%2Fx")
    (again,) = next_steps(look(CLEAR), None, stopped)
    assert again.command == "balancer split conclude shop --winner feat/x", "somebody has given it visitors since"


def test_after_a_canary_that_was_rolled_back_the_next_push_is_awaited() -> None:
    back = course()
    back = replace(back, rollout=replace(back.rollout, branch=CANARY, state=RolloutState.ROLLED_BACK))
    for seen in (CLEAR, BROKEN):
        (step,) = next_steps(look(seen), None, back)
        assert step.command == "balancer rollout abort shop"
        assert "mend it and push; the next canary takes the place" in step.text


def test_a_bandit_is_steered_too() -> None:
    (ship,) = next_steps(replace(look(CLEAR), bandit=True), None, None)
    assert ship.command == "balancer bandit promote shop feat/x"


def test_what_is_open_says_how_many_visitors_it_takes_and_how_long() -> None:
    steps = [step.text for step in next_steps(look(SOUND), DAYS, None)]
    assert "more visitors until feat/x is told from master" in steps[0]
    assert "days at the present rate" in steps[0]


def test_where_no_metric_decides_the_next_split_is_to_name_one() -> None:
    undecided = replace(SPLIT, brief=replace(SPLIT.brief, metric=None))
    (step,) = next_steps(look(rates((1, "master", 100, 5), (1, "feat/x", 11, 1)), undecided), None, None)
    assert "--metric" in (step.command or "")


def test_every_command_that_is_recommended_is_understood() -> None:
    found = [
        step.command
        for report in (look(BROKEN), look(CLEAR), replace(look(CLEAR), bandit=True))
        for steered in (None, course())
        for step in next_steps(report, None, steered)
    ]
    assert len(set(found)) == 5
    assert [wrong for each in found if each and (wrong := fault(each, whole=True))] == []


def test_a_split_that_is_over_needs_nothing() -> None:
    over = replace(SPLIT, state=SplitState.CANCELLED, ended_at=NOON + timedelta(days=3))
    (step,) = next_steps(look(SOUND, over), None, None)
    assert step.command is None
    assert "cancelled" in step.text


def test_visitors_a_day_are_those_of_the_hours_there_were() -> None:
    assert visitors_a_day(DAYS) == 600
    assert visitors_a_day(replace(DAYS, spans=())) is None


def test_where_no_metric_decides_a_rollout_it_goes_on_by_its_guardrails() -> None:
    undecided = replace(SPLIT, brief=replace(SPLIT.brief, metric=None))
    (step,) = next_steps(look(rates((1, "master", 100, 5), (1, "feat/x", 11, 1)), undecided), None, course())
    assert "guardrails" in step.text
    assert step.command == "balancer rollout status shop --watch"


def test_a_date_that_was_declared_is_told_by_the_clock_of_whoever_looks() -> None:
    declared = replace(look(SOUND), decide_at="2026-12-24T18:00:00+00:00")
    assert (
        next_steps(declared, None, None)[0].text
        == "Its result is read once, at 2026-12-24 18:00 (UTC); until then wait."
    )
    (step,) = next_steps(declared, None, None, TimeZone("Asia/Tokyo"))
    assert "at 2026-12-25 03:00 (Asia/Tokyo)" in step.text
