"""Templates, made into parts of pages."""

from types import SimpleNamespace

import pytest

from balancer.api.pages.rendering import fragment, said


def test_what_a_reason_says_to_type_is_code_and_the_rest_is_text() -> None:
    rollout = SimpleNamespace(
        state=SimpleNamespace(value="running"), step=2, plan=SimpleNamespace(steps=(1, 2, 3)), branch="test", weight=100
    )
    action = SimpleNamespace(reason="all steps are done; `balancer rollout promote` makes it <b>live</b>")
    made = fragment("standing.html", "rollout", SimpleNamespace(rollout=rollout, action=action))
    assert "<code>balancer rollout promote</code> makes it &lt;b&gt;live&lt;/b&gt;" in made


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("nobody knows how many come; say so, --visitors-a-day 800.", "nobody knows how many come; say so."),
        ("give the number, --baseline 5%", "give the number"),
        ("type `balancer stats shop, --json`", "type <code>balancer stats shop, --json</code>"),
        ("a -- b, --- c", "a -- b, --- c"),
    ],
)
def test_an_option_of_a_command_is_named_only_where_one_types_it(told: str, shown: str) -> None:
    assert said(told) == shown
