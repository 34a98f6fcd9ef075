"""The form that begins a rollout: what its fields ask for."""

import pytest

from balancer.errors import BalancerError
from balancer.wire.rollout_form import wish_in
from balancer.wire.rollouts import PlanBody


def test_fields_that_are_left_empty_have_the_defaults_of_the_command() -> None:
    wish = wish_in({"branch": "test", "steps": "", "metric": " ", "hours": "", "visitors": ""})
    assert PlanBody.of(wish.parsed()) == PlanBody()
    assert (wish.branch, wish.effect, wish.relative, wish.visitors_a_day) == ("test", 0.1, True, None)


def test_all_fields_are_what_the_options_of_the_command_are() -> None:
    wish = wish_in(
        {
            "branch": "test",
            "steps": "10, 50,100",
            "step_time": "2h",
            "metric": "purchase",
            "mode": "non-inferiority",
            "margin": "3%",
            "hours": "Mon-Fri 09:00-17:00",
            "auto_promote": "yes",
            "effect": "5%",
            "baseline": "20%",
            "visitors": "1,200",
        }
    )
    assert PlanBody.of(wish.parsed()) == PlanBody(
        steps=[10, 50, 100],
        metric="purchase",
        mode="non-inferiority",
        margin=0.03,
        auto_promote=True,
        step_seconds=7200,
        hours="Mon-Fri 09:00-17:00",
    )
    assert (wish.effect, wish.baseline, wish.visitors_a_day) == (0.05, 0.2, 1200.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"branch": ""}, "choose the branch"),
        ({"mode": "better"}, "'better' is no mode"),
        ({"steps": "10,5"}, "the steps must grow"),
        ({"steps": "many"}, "the step, 'many', is no number"),
        ({"step_time": "soon"}, "'soon' is no duration"),
        ({"hours": "weekdays"}, "weekdays"),
        ({"visitors": "-1"}, "must be more than 0"),
        ({"baseline": "half"}, "the rate, 'half', is no number"),
        ({"effect": "much"}, "the effect, 'much', is no number"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, str], said: str) -> None:
    with pytest.raises(BalancerError, match=said):
        wish_in({"branch": "test", **fields}).parsed()
