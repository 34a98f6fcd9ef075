from balancer.domain.metric import Kind
from balancer.services.breakdown import Breakdown, Cut, CutOutcome
from balancer.stats.arm import Inconclusive, Reason
from balancer.stats.compare import Comparison
from balancer.views.breakdowns import breakdown_of
from balancer.views.table import csv_of
from charts.drawn import labels, of_class, result

CLEAR = Comparison(
    difference=0.1,
    se=0.01,
    control_mean=0.1,
    low=0.05,
    high=0.15,
    log_e=9.0,
    p=0.001,
    alpha=0.05,
    visitors=100,
    used=(1,),
    left_out=(),
)


def found(comparison: Comparison | Inconclusive) -> Breakdown:
    outcomes = tuple(
        CutOutcome(branch=branch, visitors=50, events=5, converted=5, value=0.1, comparison=each)
        for branch, each in (("master", None), ("test", comparison))
    )
    return Breakdown(
        app="shop",
        split="s1",
        control="master",
        dimension="device",
        metric="bought",
        kind=Kind.CONVERTED,
        exploratory=True,
        cuts=(Cut(bucket=None, visitors=100, outcomes=outcomes),),
    )


def test_a_cut_has_no_tone_however_clear_it_looks() -> None:
    svg = breakdown_of(found(CLEAR)).wide
    assert result(svg) == "Less master. not known, test: +10.00% [+5.00% to +15.00%]."
    assert not of_class(svg, "tone-good")


def test_a_cut_with_too_few_visitors_says_so() -> None:
    figure = breakdown_of(found(Inconclusive(reason=Reason.FEW_VISITORS)))
    assert Reason.FEW_VISITORS.value in labels(figure.wide)
    assert csv_of(figure.table).splitlines()[1:] == ["not known,master,50,5,5,0.1,", "not known,test,50,5,5,0.1,"]
