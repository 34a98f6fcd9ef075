from balancer.services.split_detail import VisitorDays, VisitorSpan
from balancer.views.table import csv_of
from balancer.views.visitors import visitors_over_time
from charts.drawn import hints, of_class, result
from services.test_report import NOON, SOUND, look

BEGAN = round(NOON.timestamp() * 1000)
HALF = 12 * 3_600_000
DAYS = VisitorDays(
    timezone="UTC",
    branches=("master", "feat/x"),
    spans=(
        VisitorSpan(day="2026-03-01", phase=1, start=BEGAN, end=BEGAN + HALF, visitors=(900, 100)),
        VisitorSpan(day="2026-03-02", phase=1, start=BEGAN + HALF, end=BEGAN + 2 * HALF, visitors=(0, 0)),
        VisitorSpan(day="2026-03-02", phase=2, start=BEGAN + 2 * HALF, end=BEGAN + 3 * HALF, visitors=(480, 520)),
    ),
)


def test_a_day_on_which_the_weights_changed_is_two_columns() -> None:
    figure = visitors_over_time(look(SOUND), DAYS)
    assert hints(figure.wide) == ["Sun 01 Mar: master 900, feat/x 100", "Mon 02 Mar: master 480, feat/x 520"]
    assert len(of_class(figure.wide, "phase")) == 2
    assert [at for at, _ in figure.lines[0].points] == ["2026-03-01", "2026-03-02", "2026-03-02 12:00"]


def test_what_was_intended_stands_beside_what_came() -> None:
    figure = visitors_over_time(look(SOUND), DAYS)
    assert "master 69.00% of 2,000 (now intended 50.00%)" in result(figure.wide)
    assert csv_of(figure.table).splitlines()[1] == "2026-03-01,1,900,0.9,0.9,100,0.1,0.1"


def test_a_span_without_visitors_has_no_share() -> None:
    assert csv_of(visitors_over_time(look(SOUND), DAYS).table).splitlines()[2] == "2026-03-02,1,0,,0.9,0,,0.1"
