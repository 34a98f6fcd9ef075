from dataclasses import replace

from balancer.domain.calendar import TimeZone
from balancer.services.looks import KeptLook
from balancer.views.effects import effects
from balancer.views.figure import Figure
from charts.drawn import hints, labels, of_class, result
from services.test_report import BROKEN, CLEAR, FEAT, SOUND, SPLIT, kept, look

VIENNA = TimeZone("Europe/Vienna")


def by_look(*looks: KeptLook) -> Figure:
    return effects(look(SOUND), looks, VIENNA)[0]


def test_the_looks_that_were_kept_come_before_the_present_one() -> None:
    figure = by_look(kept(SOUND, 2), kept(SOUND, 3))
    assert [row[0].text for row in figure.table.rows] == ["2026-03-03 13:00", "2026-03-04 13:00", "now"]
    assert result(figure.wide).startswith("3 looks, from 03 Mar to 06 Mar 2026.")


def test_a_look_at_which_the_ratio_alarmed_says_nothing() -> None:
    assert len(by_look(kept(BROKEN, 2), kept(SOUND, 3)).table.rows) == 2


def test_a_look_at_another_metric_or_after_the_report_is_not_among_them() -> None:
    other = replace(kept(SOUND, 2), metric="another")
    assert [row[0].text for row in by_look(other, kept(SOUND, 9)).table.rows] == ["now"]


def test_the_look_that_decided_is_marked() -> None:
    figure = effects(look(CLEAR), (), VIENNA)[0]
    assert len(of_class(figure.wide, "decided")) == 1
    assert not of_class(by_look().wide, "decided")


def test_what_can_be_zoomed_has_the_same_figures() -> None:
    figure = by_look(kept(SOUND, 2))
    (line,) = figure.lines
    assert [value for _, value in line.points] == [row[2].raw for row in figure.table.rows]
    assert list(line.low) == [row[3].raw for row in figure.table.rows]


def test_a_pointer_is_told_each_look_on_the_clock_of_the_app() -> None:
    assert hints(by_look(kept(SOUND, 2)).wide)[0].startswith("03 Mar 13:00: ")


def test_its_name_is_a_part_of_an_address_whatever_the_branch_is_called() -> None:
    assert by_look().name == f"effect-looks-{FEAT.slug}"
    assert "/" not in FEAT.slug


def test_where_nothing_decides_there_is_no_effect() -> None:
    assert effects(look(SOUND, replace(SPLIT, brief=replace(SPLIT.brief, metric=None))), (), VIENNA) == ()


def test_of_a_split_of_one_day_the_effect_by_day_has_a_date_and_no_hours() -> None:
    figures = effects(look(SOUND), (kept(SOUND, 2),), VIENNA, TimeZone("Asia/Tokyo"))
    by_look, by_day = (next(each for each in figures if f"effect-{by}" in each.name) for by in ("looks", "days"))
    assert by_look.table.rows[0][0].text == "2026-03-03 21:00", "by the clock of whoever looks"
    assert not any(":" in label for label in labels(by_day.wide))
