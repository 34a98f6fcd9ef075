from dataclasses import replace

from balancer.services.planning import Need, SplitPlan
from balancer.views.plans import plan_view
from balancer.views.table import csv_of

PLAN = SplitPlan(
    metric=None,
    is_rate=True,
    baseline=0.05,
    sd=0.218,
    baseline_from=None,
    effect=0.005,
    visitors_a_day=800.0,
    visitors_from=None,
    weights=(1, 1),
    power=0.8,
    alpha=0.05,
    always_valid=Need(visitors=(500, 500), total=1000, days=2, shows=None),
    fixed=Need(visitors=(300, 300), total=600, days=1, shows=None),
)


def test_effects_stand_beside_what_they_take_the_smallest_first() -> None:
    unknown = replace(PLAN, always_valid=replace(PLAN.always_valid, days=None), fixed=replace(PLAN.fixed, days=None))
    view = plan_view(PLAN, ((0.1, PLAN), (0.02, unknown)))
    assert view.baseline == "5.00%"
    assert csv_of(view.table).splitlines()[1:] == ["0.02,1000,,600,", "0.1,1000,2,600,1"]
    assert [cell.text for cell in view.table.rows[0]] == ["+2.0%", "1,000", "–", "600", "–"]
