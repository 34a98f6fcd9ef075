from balancer.views.metrics import metric_views
from balancer.views.table import csv_of
from balancer.views.written import difference_of
from charts.drawn import labels, of_class, result
from services.test_report import BROKEN, CLEAR, SOUND, look


def test_the_chart_and_the_table_have_the_figures_of_the_report() -> None:
    report = look(CLEAR)
    (view,) = metric_views(report)
    difference = report.metrics[0].outcomes[1].difference
    assert difference is not None
    found = difference.comparison
    write = difference_of(rate=True)
    text = f"{write(found.difference)} [{write(found.low)} to {write(found.high)}]"  # type: ignore[union-attr]
    assert result(view.forest.wide) == f"Less master. feat/x: {text} better."
    assert text in [cell.text for cell in view.forest.table.rows[1]]


def test_a_difference_is_coloured_only_where_its_interval_leaves_0_out() -> None:
    tones = {name: _tones(parts) for name, parts in (("clear", CLEAR), ("open", SOUND), ("broken", BROKEN))}
    assert tones == {"clear": {"tone-good"}, "open": set(), "broken": set()}


def test_the_file_has_fractions() -> None:
    (view,) = metric_views(look(SOUND))
    master = csv_of(view.forest.table).splitlines()[1].split(",")
    assert master[:6] == ["master", "1400", "1400", "100", "100", str(100 / 1400)]


def test_a_metric_says_what_it_counts_and_that_it_decides() -> None:
    (view,) = metric_views(look(SOUND))
    assert view.what == "decides, converted of purchase, within 3d of the assignment"


def test_a_narrow_chart_is_made_too() -> None:
    (view,) = metric_views(look(SOUND))
    assert any(text.startswith("feat/x: ") for text in labels(view.forest.narrow))


def _tones(parts: object) -> set[str]:
    (view,) = metric_views(look(parts))  # type: ignore[arg-type]
    found = {cell.kind for row in view.forest.table.rows for cell in row if cell.kind}
    drawn = {kind for kind in ("tone-good", "tone-bad") if of_class(view.forest.wide, kind)}
    assert found == drawn
    return found
