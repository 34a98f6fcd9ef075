"""The report: the sample ratio first, verdicts of looks, and JSON carries it there and back."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from balancer.domain.app import BranchName
from balancer.domain.metric import Kind, Metric, MetricName, Role
from balancer.domain.split import Brief, Phase, Split, SplitId, SplitState
from balancer.services.effect import Point
from balancer.services.looks import KeptLook, read, text_of
from balancer.services.outcome import Reading
from balancer.services.report import Report, Seen, as_of, make_report, measured_of
from balancer.stats.arm import Inconclusive
from balancer.stats.cells import EventNames, NamedEvents, SplitCells
from balancer.stats.compare import Comparison
from balancer.stats.tally import Intake
from balancer.stats.verdict import Verdict
from balancer.wire.report_csv import csv_of
from measured import DAY, Part, answer, rates
from registries import SHOP

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, FEAT = BranchName("master"), BranchName("feat/x")
BOUGHT = Metric(name=MetricName("bought"), kind=Kind.CONVERTED, events=("purchase",))
SPLIT = Split(
    id=SplitId("s1"),
    app=SHOP,
    control=MASTER,
    phases=(
        Phase(number=1, weights={FEAT: 1000, MASTER: 9000}, started_at=NOON),
        Phase(number=2, weights={FEAT: 5000, MASTER: 5000}, started_at=NOON + timedelta(days=1)),
    ),
    state=SplitState.RUNNING,
    ended_at=None,
    expected_visitors=5000,
    brief=Brief(metrics=(BOUGHT,), metric=BOUGHT.name),
)
INTAKE = Intake(accepted=700, duplicate=3, refused=2, reasons=(("no such split", 2),))
SOUND = rates((1, "master", 900, 50), (1, "feat/x", 100, 5), (2, "master", 500, 50), (2, "feat/x", 500, 60))
CLEAR = rates((1, "master", 900, 50), (1, "feat/x", 100, 15), (2, "master", 500, 50), (2, "feat/x", 500, 150))
BROKEN = rates((1, "master", 900, 50), (1, "feat/x", 100, 5), (2, "master", 9500, 500), (2, "feat/x", 500, 200))
LATER = NOON + timedelta(days=5)


def seen(
    parts: Iterable[Part],
    split: Split = SPLIT,
    *,
    multiple: int = 0,
    kept: Iterable[KeptLook] = (),
    at: datetime = LATER,
) -> Seen:
    """Return what is seen of a split."""
    measured = measured_of(split, EventNames())
    cells = answer([each.metric.name for each in measured], parts, multiple=multiple)
    return make_report(split, measured, cells, INTAKE, kept, at)


def look(parts: Iterable[Part], split: Split = SPLIT, *, multiple: int = 0) -> Report:
    return seen(parts, split, multiple=multiple).report


def kept(parts: Iterable[Part], days: int) -> KeptLook:
    """Return a look that was kept some days after the start."""
    found = seen(parts, at=NOON + timedelta(days=days)).look
    assert found is not None
    return found


def test_a_report_says_whose_split_it_is_and_who_was_counted() -> None:
    found = look(SOUND, multiple=20)
    assert (found.app, found.split, found.state, found.control) == ("shop", "s1", SplitState.RUNNING, "master")
    assert (found.started_at, found.ended_at) == ("2026-03-01T12:00:00+00:00", None)
    assert found.looked_at == "2026-03-06T12:00:00+00:00"
    assert [(each.branch, each.slug, each.share, each.visitors) for each in found.variants] == [
        ("master", "master", 0.5, 1400),
        ("feat/x", FEAT.slug, 0.5, 600),
    ]
    assert [(each.number, each.shares, each.visitors) for each in found.phases] == [
        (1, (("feat/x", 0.1), ("master", 0.9)), 1000),
        (2, (("feat/x", 0.5), ("master", 0.5)), 1000),
    ]
    assert found.multiple == 20
    assert found.multiple_share == pytest.approx(20 / 2020)
    assert found.intake == INTAKE


def test_the_sample_ratio_is_against_the_weights_of_each_phase() -> None:
    found = look(SOUND)
    assert not found.sample_ratio.alarm
    expected = {each.variant: each.expected for each in found.sample_ratio.counts}
    assert expected == pytest.approx({"master": 1400, "feat/x": 600}, abs=0.01)
    assert found.verdict.verdict is Verdict.KEEP_RUNNING


def test_a_broken_split_is_said_first_and_none_of_its_differences_is_read() -> None:
    found = look(BROKEN)
    assert found.sample_ratio.alarm
    assert found.verdict.verdict is Verdict.BROKEN_SPLIT
    difference = found.metrics[0].outcomes[1].difference
    assert difference is not None
    assert difference.reading is Reading.BROKEN_SPLIT


def test_a_visitor_in_a_variant_that_a_phase_does_not_have_breaks_the_split() -> None:
    alone = replace(SPLIT, phases=(replace(SPLIT.phases[0], weights={MASTER: 10_000, FEAT: 0}), SPLIT.phases[1]))
    assert not look(rates((1, "master", 900, 50)), alone).sample_ratio.alarm
    found = look(rates((1, "master", 900, 50), (1, "feat/x", 1, 0)), alone)
    assert found.verdict.verdict is Verdict.BROKEN_SPLIT


def test_the_shares_that_count_are_those_the_proxy_can_give() -> None:
    """1 % are 655 of 65,536 buckets, 0.05 % fewer than a hundredth."""
    tiny = replace(SPLIT, phases=(Phase(number=1, weights={MASTER: 9900, FEAT: 100}, started_at=NOON),))
    given = round(2e5 * 655 / 65_536)
    found = look(rates((1, "master", 200_000 - given, 0), (1, "feat/x", given, 0)), tiny)
    assert {each.variant: round(each.expected) for each in found.sample_ratio.counts}["feat/x"] == given


def test_without_visitors_there_is_not_enough_data_and_no_number() -> None:
    found = look([])
    assert found.verdict.verdict is Verdict.NOT_ENOUGH_DATA
    assert found.multiple_share is None
    assert [(each.visitors, each.value) for each in found.metrics[0].outcomes] == [(0, None), (0, None)]


def test_moments_that_are_not_over_all_visitors_are_an_error() -> None:
    cells = answer(["bought"], SOUND)
    less = replace(cells, exposed=(replace(cells.exposed[0], visitors=901), *cells.exposed[1:]))
    with pytest.raises(ValueError, match="bought has moments over"):
        make_report(SPLIT, measured_of(SPLIT, EventNames()), less, INTAKE, (), LATER)


def test_a_clear_difference_ships_the_variant_and_says_since_when() -> None:
    found = look(CLEAR)
    assert (found.verdict.verdict, found.verdict.variant) == (Verdict.SHIP, "feat/x")
    assert found.decided_at == found.looked_at


def test_a_verdict_stays_with_the_look_that_made_it() -> None:
    """Regression to the mean takes away nothing: the sequence held at every look."""
    found = seen(SOUND, kept=[kept(SOUND, 2), kept(CLEAR, 3)]).report
    assert (found.verdict.verdict, found.looks) == (Verdict.SHIP, 2)
    assert found.decided_at == (NOON + timedelta(days=3)).isoformat()
    assert look(SOUND).verdict.verdict is Verdict.KEEP_RUNNING


def test_looks_at_which_the_sample_ratio_alarmed_decide_nothing() -> None:
    broken = replace(kept(CLEAR, 3), alarm=True)
    assert seen(SOUND, kept=[broken]).report.verdict.verdict is Verdict.KEEP_RUNNING


def test_a_look_has_what_it_was_made_of_and_json_carries_it() -> None:
    found = kept(SOUND, 3)
    assert read(text_of(found)) == found
    assert [(each.phase, each.branch, each.visitors, each.conversions) for each in found.arms] == [
        (1, "master", 900, 50),
        (1, "feat/x", 100, 5),
        (2, "master", 500, 50),
        (2, "feat/x", 500, 60),
    ]
    ((branch, of_variant),) = found.variants
    assert (branch, of_variant.visitors) == ("feat/x", 2000)


def test_where_nothing_decides_the_report_says_so() -> None:
    found = look(SOUND, replace(SPLIT, brief=Brief(metrics=(BOUGHT,))))
    assert found.verdict.verdict is Verdict.KEEP_RUNNING
    assert found.verdict.reason == "no metric decides; one is named when a split or a rollout begins"
    assert found.effect == ()


def test_what_decides_comes_first_then_guardrails_then_what_was_declared_then_what_events_imply() -> None:
    slow = Metric(name=MetricName("slow"), kind=Kind.COUNT, events=("slow",), role=Role.GUARDRAIL)
    early = Metric(name=MetricName("early"), kind=Kind.COUNT, events=("visit",))
    of = replace(SPLIT, brief=Brief(metrics=(early, slow, BOUGHT), metric=BOUGHT.name))
    names = EventNames(
        names=(
            NamedEvents(event="purchase", events=9, valued=9),
            NamedEvents(event="terms", events=5, valued=0),
            NamedEvents(event="cart", events=7, valued=3),
        )
    )
    found = [(each.metric.name, each.primary, each.declared) for each in measured_of(of, names)]
    assert found == [
        ("bought", True, True),
        ("slow", False, True),
        ("early", False, True),
        ("cart", False, False),
        ("cart.value", False, False),
        ("terms", False, False),
    ]


def test_an_event_can_decide_without_being_declared() -> None:
    of = replace(SPLIT, brief=Brief(metric=MetricName("purchase")))
    names = EventNames(names=(NamedEvents(event="purchase", events=9, valued=9),))
    found = measured_of(of, names)
    assert [(each.metric.name, each.primary, each.declared) for each in found] == [
        ("purchase", True, False),
        ("purchase.value", False, False),
    ]


def test_of_many_names_the_most_frequent_ones_are_shown() -> None:
    names = EventNames(names=tuple(NamedEvents(event=f"e{n}", events=n, valued=0) for n in range(1, 101)))
    found = measured_of(replace(SPLIT, brief=Brief()), names)
    assert {each.metric.name for each in found} == {f"e{n}" for n in range(81, 101)}


def test_the_effect_over_time_has_a_point_for_each_day_with_all_who_were_assigned_till_then() -> None:
    days = [replace(part, day=DAY + day) for day in range(3) for part in SOUND]
    young = [replace(part, day=DAY + 3, mature=False) for part in SOUND]
    found = look([*days, *young]).effect
    assert [(point.branch, point.day) for point in found] == [("feat/x", f"2026-03-0{day}") for day in (1, 2, 3, 4)]
    assert [_visitors(point) for point in found] == [2000, 4000, 6000, 6000]


def _visitors(point: Point) -> int:
    assert isinstance(point.comparison, Comparison)
    return point.comparison.visitors


def test_a_split_that_is_over_counts_up_to_its_end_and_one_with_a_date_up_to_that() -> None:
    end = NOON + timedelta(days=2, microseconds=1500)
    over = replace(SPLIT, state=SplitState.CANCELLED, ended_at=end)
    assert as_of(over, LATER) == NOON + timedelta(days=2, microseconds=1000)
    dated = replace(SPLIT, brief=replace(SPLIT.brief, decide_at=NOON + timedelta(days=3)))
    assert as_of(dated, LATER) == NOON + timedelta(days=3)
    assert as_of(SPLIT, LATER) == LATER


def test_a_result_with_a_date_is_hidden_until_then_and_read_once() -> None:
    dated = replace(SPLIT, brief=replace(SPLIT.brief, decide_at=NOON + timedelta(days=3)))
    early = seen(CLEAR, dated, at=NOON + timedelta(days=2))
    assert early.look is None
    assert early.report.verdict.verdict is Verdict.NOT_ENOUGH_DATA
    assert early.report.effect == ()
    difference = early.report.metrics[0].outcomes[1].difference
    assert difference is not None
    assert isinstance(difference.comparison, Inconclusive)
    on_the_day = seen(CLEAR, dated, at=NOON + timedelta(days=3)).report
    assert (on_the_day.verdict.verdict, on_the_day.verdict.variant) == (Verdict.SHIP, "feat/x")


@pytest.mark.parametrize("parts", [[], SOUND, CLEAR, BROKEN, rates((1, "feat/x", 1, 1)), rates((2, "master", 200, 60))])
@pytest.mark.parametrize("weight", [0, 1000])
def test_json_carries_a_report_there_and_back(parts: list[Part], weight: int) -> None:
    first = replace(SPLIT.phases[0], weights={FEAT: weight, MASTER: 10_000 - weight})
    found = look(parts, replace(SPLIT, phases=(first, SPLIT.phases[1])))
    adapter = TypeAdapter(Report)
    text = adapter.dump_json(found)
    assert adapter.validate_json(text) == found
    json.loads(text, parse_constant=pytest.fail)


def test_csv_has_a_line_for_each_metric_and_branch() -> None:
    lines = csv_of(look(SOUND)).splitlines()
    assert len(lines) == 3
    head, control, test = (line.split(",") for line in lines)
    told = dict(zip(head, test, strict=True))
    assert (told["metric"], told["branch"], told["visitors"], told["converted"]) == ("bought", "feat/x", "600", "65")
    assert float(told["difference"]) == pytest.approx(0.0072222, abs=5e-8)
    assert dict(zip(head, control, strict=True))["difference"] == ""


def test_csv_says_the_reason_where_there_is_no_difference() -> None:
    of = csv_of(look(rates((1, "master", 10, 1)))).splitlines()[2].split(",")
    assert of[-1] == "fewer than 100 visitors in an arm"


def test_a_question_that_finds_nothing_gives_an_empty_report() -> None:
    found = make_report(replace(SPLIT, brief=Brief()), (), SplitCells(), INTAKE, (), LATER).report
    assert found.metrics == ()
