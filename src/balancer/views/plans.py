"""The planner: how many days an effect of each size takes to be seen."""

from dataclasses import dataclass

from balancer.services.planning import SplitPlan
from balancer.views.table import Head, Table, number, whole
from balancer.views.written import value_of

EFFECTS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Parts of the control's number, for a table beside the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What a split would need."""

    plan: SplitPlan
    baseline: str
    table: Table


def plan_view(plan: SplitPlan, beside: tuple[tuple[float, SplitPlan], ...]) -> PlanView:
    """Return a plan, with those of other effects (parts of the baseline) beside it."""
    heads = (
        Head(text="Effect", name="effect", figures=True),
        Head(text="Visitors", name="visitors", figures=True),
        Head(text="Days", name="days", figures=True),
        Head(text="Visitors, read once", name="visitors_fixed", figures=True),
        Head(text="Days, read once", name="days_fixed", figures=True),
    )
    rows = tuple(
        (
            number(f"{effect:+.1%}", effect),
            whole(each.always_valid.total),
            number(f"{each.always_valid.days or 0:,}", each.always_valid.days),
            whole(each.fixed.total),
            number(f"{each.fixed.days or 0:,}", each.fixed.days),
        )
        for effect, each in sorted(beside, key=lambda found: found[0])
    )
    table = Table(caption="What effects of other sizes take", heads=heads, rows=rows)
    return PlanView(plan=plan, baseline=value_of(rate=plan.is_rate)(plan.baseline), table=table)
