from dataclasses import replace

from balancer.charts.tone import Tone
from balancer.services.outcome import MetricReport
from balancer.services.report import Report
from balancer.stats.compare import Comparison
from balancer.stats.verdict import Verdict
from balancer.views.findings import findings_of, foremost_of
from services.test_report import BROKEN, CLEAR, SOUND, look


def primary(report: Report) -> MetricReport:
    """Return the metric that decides."""
    return next(metric for metric in report.metrics if metric.primary)


def test_what_is_found_has_the_figures_of_the_report_and_points_where_it_is_of_a_rate() -> None:
    report = look(CLEAR)
    difference = primary(report).outcomes[1].difference
    assert difference is not None
    found = difference.comparison
    assert isinstance(found, Comparison)
    (finding,) = findings_of(primary(report), report.verdict)
    assert (finding.metric, finding.branch, finding.tone) == ("bought", "feat/x", Tone.GOOD)
    written = [f"{100 * value:+.2f}" for value in (found.difference, found.low, found.high)]
    assert finding.difference == "{} points [{} to {}]".format(*written)
    assert finding.lift is not None
    assert foremost_of(primary(report), report.verdict) == finding


def test_nothing_is_found_where_the_split_is_broken_or_no_metric_decides() -> None:
    broken, sound = look(BROKEN), look(SOUND)
    assert findings_of(primary(broken), broken.verdict) == ()
    assert findings_of(None, sound.verdict) == ()
    assert foremost_of(None, sound.verdict) is None
    assert [each.tone for each in findings_of(primary(sound), sound.verdict)] == [Tone.OPEN]


def test_of_several_branches_the_one_that_the_verdict_names_comes_first_and_none_is_foremost_without_one() -> None:
    report = look(CLEAR)
    control, variant = primary(report).outcomes
    metric = replace(primary(report), outcomes=(control, replace(variant, branch="blue"), variant))
    assert [each.branch for each in findings_of(metric, report.verdict)] == ["feat/x", "blue"]
    undecided = replace(report.verdict, verdict=Verdict.KEEP_RUNNING, variant=None)
    assert foremost_of(metric, undecided) is None
    assert len(findings_of(metric, undecided)) == 2
