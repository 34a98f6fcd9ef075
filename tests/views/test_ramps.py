"""The ramp of a split: every branch, in the chart, in its table and in what is zoomed into."""

from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.calendar import TimeZone
from balancer.services.bandit_decisions import BanditDecision, decided
from balancer.views.ramps import guardrails_of, ramp_of
from balancer.views.table import csv_of
from charts.drawn import labels, of_class, result
from domain.test_bandit import bandit
from services.test_report import SOUND, look
from values import TEST
from views.test_headline import course

UTC = TimeZone("UTC")


def test_the_weights_are_those_of_the_phases() -> None:
    figure = ramp_of(look(SOUND), (), None, UTC)
    assert result(figure.wide) == "Weights: master 90% → 50%; feat/x 10% → 50%. Nothing else happened."
    assert {"master 50%", "feat/x 50%"} <= set(labels(figure.wide))
    assert csv_of(figure.table).splitlines() == [
        "at,what,branch,weight,which,why",
        "2026-03-01T12:00:00+00:00,weight,master,0.9,,",
        "2026-03-01T12:00:00+00:00,weight,feat/x,0.1,,",
        "2026-03-02T12:00:00+00:00,weight,master,0.5,,",
        "2026-03-02T12:00:00+00:00,weight,feat/x,0.5,,",
    ]


def test_what_is_zoomed_into_are_stairs() -> None:
    master, other = ramp_of(look(SOUND), (), None, UTC).lines
    assert [weight for _, weight in master.points] == [0.9, 0.9, 0.5, 0.5]
    assert [weight for _, weight in other.points] == [0.1, 0.1, 0.5, 0.5]
    assert master.points[1][0] == master.points[2][0]


def test_decisions_that_wait_stand_in_the_table_and_not_in_the_chart() -> None:
    figure = ramp_of(look(SOUND), (), course(("errors", 1.0)), UTC)
    assert not of_class(figure.wide, "mark")
    assert csv_of(figure.table).splitlines()[-1] == (
        "2026-03-03T12:00:00+00:00,decision,feat/x,,wait,too soon: 590 s of 600 s are left"
    )


def test_what_a_bandit_has_decided_is_drawn_and_told() -> None:
    def made(at: str, what: BanditWhat, **more: tuple[tuple[str, object], ...]) -> BanditDecision:
        action = BanditAction(what=what, rule="chances", reason="test 80.0%", **more)  # type: ignore[arg-type]
        return decided(bandit(TEST), None, None, action, f"2026-03-03T{at}:00+00:00")

    course = (
        made("10:00", BanditWhat.SHIFT, weights=(("master", 2000), ("feat/x", 8000))),
        made("11:00", BanditWhat.WAIT),
        made("12:00", BanditWhat.TAKE_OUT, out=(("feat/x", "errors"),)),
    )
    figure = ramp_of(look(SOUND), (), None, UTC, course)
    assert "03 Mar 10:00 master 20 %, feat/x 80 %; 03 Mar 12:00 take out feat/x" in result(figure.wide)
    assert len(of_class(figure.wide, "cross")) == 2
    told = [row[4].text for row in figure.table.rows if row[1].text == "decision"]
    assert told == ["master 20 %, feat/x 80 %", "wait", "take out feat/x"]


def test_guardrails_have_their_e_and_their_limits() -> None:
    figure = guardrails_of(course(("errors", 30.0), ("latency", 0.5)), UTC)
    assert {"errors 30", "latency 0.5", "20 in doubt", "100 rolled back"} <= set(labels(figure.wide))
    assert [row[2].text for row in figure.table.rows] == ["30", "0.5"]


def test_without_guardrails_the_chart_says_so() -> None:
    assert labels(guardrails_of(course(), UTC).wide) == ["No guardrail has said anything yet."]
